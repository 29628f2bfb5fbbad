"""Variational autoencoders as estimators of scikit-learn."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch.distributions import Distribution, Independent, Normal

from genmod.data.cells import is_frame
from genmod.data.dataset import Batch, DataInfo, Dataset, SplitName, TensorSplit, default_root
from genmod.data.frames import log_jacobian, to_frame, to_values
from genmod.data.order import tenths
from genmod.data.table import FrameDataset
from genmod.defaults import RECIPE
from genmod.model.adapt import warn_of_choice, with_fitting_parts
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resolve import resolve
from genmod.model.suggest import suggested
from genmod.spec import ModelSpec
from genmod.system.random import seeded
from genmod.training.train import train

__all__ = ["VAE"]

_Array = NDArray[Any]
_AT_ONCE = 2**20
"""Values of latents or parameters of likelihoods at a time."""


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A variational autoencoder with the interface of scikit-learn: codes, samples and densities of a table.

    Numbers are standardised, and everything comes back in their own units. A DataFrame with columns that are no numbers is
    modelled column by column, as dataset ``table`` does it. A row's result depends on that row alone.

    Args:
        recipe: what the model is made of; the other parts replace its own.
        latent: number of latents; by default that of the recipe.
        encoder: name of a component, or a table ``{"name": …, option: value}``; so are the other parts.
        posterior: see encoder.
        prior: see encoder.
        network: see encoder.
        decoder: see encoder.
        divergence: see encoder.
        objective: see encoder.
        settings: options by dotted path, such as ``{"objective.beta": 4.0}``.
        steps: optimizer steps, also of each ``partial_fit``.
        epochs: passes over the data in place of steps.
        batch_size: rows in a step.
        lr: learning rate.
        draws: of the latents, for densities.
        validate: hold out a tenth of ten or more rows, and keep the weights that do best there.
        random_state: seed of weights, training and draws.

    Attributes:
        model_: the trained model, in double precision.
        n_features_in_: number of columns.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 5))
        >>> vae = VAE(latent=2, steps=20, random_state=0).fit(x)
        >>> vae.transform(x).shape, vae.sample(3).shape, vae.score_samples(x).shape
        ((200, 2), (3, 5), (200,))
    """

    def __init__(
        self,
        recipe: str = RECIPE,
        *,
        latent: Any = None,
        encoder: Any = None,
        posterior: Any = None,
        prior: Any = None,
        network: Any = None,
        decoder: Any = None,
        divergence: Any = None,
        objective: Any = None,
        settings: Mapping[str, Any] | None = None,
        steps: int | None = None,
        epochs: int | None = None,
        batch_size: int = 128,
        lr: float = 1e-3,
        draws: int = 100,
        validate: bool = True,
        random_state: Any = None,
    ) -> None:
        self.recipe = recipe
        self.latent = latent
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.network = network
        self.decoder = decoder
        self.divergence = divergence
        self.objective = objective
        self.settings = settings
        self.steps = steps
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.draws = draws
        self.validate = validate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train a new model on rows ``X (N, columns)``; ``y`` is not looked at."""
        x = self._begun(X)
        return self._train(x, self.steps)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train on: ``steps`` steps, or one pass over these rows; the first call begins a model, as :meth:`fit` does."""
        x = self._values(X, reset=False) if hasattr(self, "model_") else self._begun(X)
        return self._train(x, self.steps, passes=1)

    def transform(self, X: Any) -> _Array:
        """The means of ``q(z|x)``, ``(N, latents)``, in the precision of ``X``."""
        check_is_fitted(self)
        x, kind = self._values(X, reset=False), getattr(X, "dtype", None)
        with torch.no_grad():
            parts = [self.model_.encode(part).mean.flatten(1) for part in x.split(_rows(self.model_))]
        codes: _Array = torch.cat(parts).numpy()
        return codes.astype(np.float32) if kind == np.float32 else codes

    def inverse_transform(self, X: Any) -> Any:
        """The mean of ``p(x|z)`` of codes ``X (N, latents)``, in the units of the data."""
        check_is_fitted(self)
        z = torch.from_numpy(np.array(X, dtype=np.float64)).reshape(-1, *self.model_.latent_shape)
        with torch.no_grad():
            parts = [self.model_.decode(part).mean for part in z.split(_rows(self.model_))]
        return self._back(torch.cat(parts))

    def sample(self, n_samples: int = 1) -> Any:
        """New rows from the model: ``z ~ p(z)``, ``x ~ p(x|z)``, in the units of the data."""
        check_is_fitted(self)
        return self._back(self.model_.sample(n_samples, seed=self._seed(), noise=True), clip=True)

    def score_samples(self, X: Any) -> _Array:
        """A lower bound on ``log p(x)`` of each row, nats per unit of the data, ``(N,)``.

        ``log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x)``, ``K = draws``. The same noise is used for all rows.
        """
        check_is_fitted(self)
        self.model_.require_densities("log-likelihood")
        x = self._values(X, reset=False)
        with torch.no_grad():
            scores = torch.cat([self._scores(part) for part in x.split(_rows(self.model_, self.draws))])
        info = self.model_.data
        units = (
            log_jacobian(info, x) if info.columns else -torch.tensor(info.scale, dtype=torch.float64).log()
        )
        return (scores + units.expand(x.shape).nansum(1)).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.model_.latent_shape)

    def _begun(self, X: Any) -> torch.Tensor:
        """A new model for these rows, and they as it sees them."""
        values = _checked(self, X, reset=True)
        if values is None:
            frame = FrameDataset(X)
            info = frame.info
        else:
            shift, scale = values.mean(0), values.std(0)
            # A deviation that is all rounding error belongs to a column that does not vary.
            scale = np.where(scale > 1e-12 * np.abs(shift), scale, 1.0)
            bounds = (-math.inf, math.inf)
            info = DataInfo(
                (values.shape[1],), *bounds, shift=tuple(shift.tolist()), scale=tuple(scale.tolist())
            )
        kinds = ("encoder", "posterior", "prior", "network", "decoder", "divergence", "objective")
        parts = {kind: getattr(self, kind) for kind in kinds if getattr(self, kind) is not None}
        spec = compose(self.recipe, components=parts, latent=self.latent, settings=self.settings)
        made = partial(assemble, data=info, seed=self._seed())
        self.model_ = with_fitting_parts(resolve(suggested(spec, info)), info, made, warn_of_choice).double()
        return self._values(X, reset=False)

    def _values(self, X: Any, *, reset: bool) -> torch.Tensor:
        """Rows as the model sees them, ``(N, modelled columns)`` in double precision."""
        info = self.model_.data
        values = _checked(self, X, reset=reset, numbers=not info.columns)
        if info.columns:
            return to_values(info, X).double()
        return torch.from_numpy((values - np.array(info.shift)) / np.array(info.scale))

    def _back(self, x: torch.Tensor, *, clip: bool = False) -> Any:
        if self.model_.data.columns:
            return to_frame(self.model_.data, x, clip=clip)
        return self.model_.data.original(x).numpy()

    def _train(self, x: torch.Tensor, steps: int | None, passes: int | None = None) -> Self:
        epochs = (self.epochs or passes) if steps is None else None
        run: dict[str, Any] = {
            "batch_size": self.batch_size,
            "lr": self.lr,
            "seed": self._seed(),
            "device": "cpu",
        }
        self.model_.float()
        rows = _Rows(x.float(), self.model_.data, hold_out=self.validate)
        train(self.model_, rows, steps=steps, epochs=epochs, **run)
        self.model_.double().eval()
        return self

    def _scores(self, x: torch.Tensor) -> torch.Tensor:
        """The bound of standardised rows ``x (B, columns)``, per unit of these."""
        model, seed = self.model_, self._seed()
        q, p = model.encode(x), model.prior()
        z = _common_draws(q, self.draws, seed)
        if z is None:  # draws of a row then depend on it alone, too
            each = []
            for i in range(len(x)):
                with seeded(seed):
                    each.append(model.log_weights(x[i : i + 1], self.draws))
            log_weights = torch.cat(each, 1)
        else:
            log_weights = model.decode(z).log_prob(x) + p.log_prob(z) - q.log_prob(z)
        return log_weights.logsumexp(0) - math.log(self.draws)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """The same for versions before 1.6."""
        return {"preserves_dtype": [np.float64, np.float32]}

    def __getstate__(self) -> dict[str, Any]:
        """With the model as its specification and weights, of which nothing is executed."""
        state = dict(super().__getstate__())
        model = state.pop("model_", None)
        if model is not None:
            weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            state["model_"] = {"spec": model.spec.to_json(), "data": model.data.to_json(), "weights": weights}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("model_", None)
        super().__setstate__(state)
        if kept is not None:
            spec = ModelSpec.from_json(kept["spec"], where="the estimator")
            model = assemble(spec, DataInfo.from_json(kept["data"])).double()
            model.load_state_dict({name: torch.from_numpy(array) for name, array in kept["weights"].items()})
            self.model_ = model.eval()


class _Rows(Dataset):
    """Rows in memory, of which a tenth may be held out."""

    def __init__(self, x: torch.Tensor, info: DataInfo, *, hold_out: bool) -> None:
        super().__init__(default_root())
        self._x, self._info = x, info
        every = np.arange(len(x))
        parts: dict[SplitName, _Array] = {"train": every, "validation": every, "test": every}
        if hold_out and len(x) >= 10:
            parts |= tenths(len(x), ["validation"])
        self._parts = parts

    @property
    def info(self) -> DataInfo:
        return self._info

    def split(self, name: SplitName) -> TensorSplit:
        return TensorSplit(Batch(self._x[torch.from_numpy(self._parts[name])]), self._info)


def _checked(estimator: VAE, X: Any, *, reset: bool, numbers: bool | None = None) -> _Array | None:
    """Numbers ``(N, columns)`` in double precision; None of a DataFrame that has other columns too.

    Args:
        estimator: whose ``n_features_in_`` is set or compared.
        X: rows.
        reset: whether they are set.
        numbers: whether there must be numbers; by default it is looked up.
    """
    if numbers is None:
        numbers = not (is_frame(X) and any(not _is_number(X, name) for name in X.columns))
    more: dict[str, Any] = (
        {"skip_check_array": True}
        if not numbers
        else {"dtype": np.float64, "ensure_min_samples": 2 if reset else 1, "copy": True}
    )
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # before 1.6
        if more.pop("skip_check_array", False):
            estimator._check_n_features(X, reset=reset)
            estimator._check_feature_names(X, reset=reset)
            return None
        return cast(_Array, estimator._validate_data(X, reset=reset, **more))
    found = validate_data(estimator, X, reset=reset, **more)
    return cast(_Array, found) if numbers else None


def _is_number(frame: Any, name: Any) -> bool:
    try:
        return np.asarray(frame[name]).dtype.kind in "biuf"
    except (KeyError, TypeError, ValueError):
        return False


def _common_draws(q: Distribution, draws: int, seed: int) -> torch.Tensor | None:
    """Draws ``(K, B, *event_shape)`` of independent normals, by the same noise for all rows; None of any other."""
    base = q.base_dist if isinstance(q, Independent) else q
    if not isinstance(base, Normal):
        return None
    with seeded(seed):
        noise = torch.randn(draws, 1, *q.event_shape, dtype=base.loc.dtype)
    return base.loc + base.scale * noise


def _rows(model: LatentVariableModel, draws: int = 1) -> int:
    """Rows that are worked on at a time."""
    widest = max(math.prod(model.decoder.parameter_shape), math.prod(model.latent_shape), model.data.size)
    return max(1, _AT_ONCE // (draws * widest))
