"""Models: what the trainer, the evaluator and the command line work on."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.dataset import DataInfo
from genmod.decoder import Decoder
from genmod.divergence import Divergence
from genmod.encoder import Encoder
from genmod.errors import UndefinedError, UsageError
from genmod.network import Network
from genmod.objective import Objective, Terms
from genmod.posterior import Posterior
from genmod.prior import Prior
from genmod.random import seeded
from genmod.spec import ModelSpec
from genmod.training.schedule import Schedule

__all__ = ["GenerativeModel", "LatentVariableModel"]


class GenerativeModel(nn.Module, ABC):
    """Anything that can be trained on data and asked for more of them.

    Args:
        spec: the names and options that it was assembled from.
        data: shape and range of the data.
    """

    def __init__(self, spec: ModelSpec, data: DataInfo) -> None:
        super().__init__()
        self.spec = spec
        self.data = data
        self.autocast_dtype: torch.dtype | None = None

    @abstractmethod
    def terms(self, x: Tensor) -> Terms:
        """Loss and named terms of stored examples, ``x (B, *data.shape)``."""

    @abstractmethod
    def sample(self, n: int, *, seed: int | None = None, noise: bool = False) -> Tensor:
        """``n`` new examples, ``(n, *data.shape)`` float.

        Args:
            n: how many.
            seed: draws the same ones again; None draws from the global random state.
            noise: draw from the likelihood too, rather than show its mean.
        """

    def groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Parameters by group; each group is moved by its own optimizer."""
        return {"model": self.parameters()}

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Every schedule among the options of its parts, by dotted path such as ``objective.beta``."""
        for path, part in self.named_modules():
            for name, value in vars(part).items():
                if isinstance(value, Schedule):
                    yield f"{path}.{name}", value

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters, which data are brought to."""
        floats = (p.dtype for p in self.parameters() if p.is_floating_point())
        return next(floats, torch.get_default_dtype())


class LatentVariableModel(GenerativeModel):
    """A latent-variable model composed of named components.

    ``log p(x) = log ∫ p(x|z) p(z) dz ≥ E_q(z|x)[log p(x|z)] - KL(q(z|x) ‖ p(z))``

    Made by :func:`genmod.build`.

    Example:
        >>> import genmod
        >>> model = genmod.build(data="digits", encoder="mlp", latent=2)
        >>> q = model.encode(torch.zeros(3, 1, 8, 8))
        >>> q.batch_shape, q.event_shape
        (torch.Size([3]), torch.Size([2]))
        >>> model.decode(q.mean).mean.shape, model.sample(5, seed=0).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 1, 8, 8]))
    """

    def __init__(
        self,
        spec: ModelSpec,
        data: DataInfo,
        *,
        encoder: Encoder,
        posterior: Posterior,
        prior: Prior,
        network: Network,
        decoder: Decoder,
        divergence: Divergence,
        objective: Objective,
    ) -> None:
        super().__init__(spec, data)
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.network = network
        self.decoder = decoder
        self.divergence = divergence
        self.objective = objective

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return self.posterior.latent_shape

    def observe(self, x: Tensor) -> Tensor:
        """Stored or float examples → observations, as they are encoded and scored.

        ``x (B, *data.shape)`` → ``(B, *data.shape)`` float; may draw, as dynamic binarisation does.
        """
        return self.decoder.observe(self.data.values(x, self.dtype))

    def encode(self, x: Tensor) -> Distribution:
        """``q(z|x)`` of observations ``x (B, *data.shape)``; stored integers are scaled first.

        Returns:
            Distribution, ``batch_shape (B,)``, ``event_shape latent_shape``.

        Raises:
            UsageError: x has another shape.
        """
        if tuple(x.shape[1:]) != self.data.shape:
            raise UsageError(
                f"the model encodes examples of shape {self.data.shape}, was given a tensor of shape {tuple(x.shape)}",
                hint=f"give a batch, (B, {', '.join(map(str, self.data.shape))})",
            )
        with self._networks():
            features = self.encoder(self.data.values(x, self.dtype))
        return self.posterior(features.float() if features.dtype.itemsize < 4 else features)  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Distribution:
        """``p(x|z)`` of latents ``z (*batch, *latent_shape)``.

        Returns:
            Distribution, ``batch_shape batch``, ``event_shape data.shape``.

        Raises:
            UsageError: z has another shape.
        """
        batch = z.shape[: z.dim() - len(self.latent_shape)]
        if tuple(z.shape[len(batch) :]) != self.latent_shape:
            raise UsageError(
                f"the model decodes latents of shape {self.latent_shape}, was given a tensor of shape {tuple(z.shape)}"
            )
        with self._networks():
            parameters = self.network(z.reshape(-1, *self.latent_shape))
        if parameters.dtype.itemsize < 4:
            parameters = parameters.float()
        return self.decoder(parameters.reshape(*batch, *self.decoder.parameter_shape))  # type: ignore[no-any-return]

    def terms(self, x: Tensor) -> Terms:
        return self.objective(self, self.observe(x))  # type: ignore[no-any-return]

    def groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        return self.objective.groups(self)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int | None = None, noise: bool = False) -> Tensor:
        """``n`` new examples: ``z ~ p(z)``, then the mean of ``p(x|z)``, or a draw from it.

        Raises:
            UndefinedError: the model has no prior; the hint says what to do.
        """
        if seed is not None:
            with seeded(seed):
                return self.sample(n, noise=noise)
        pictures = self.decode(self.prior().sample((n,)))
        return pictures.sample() if noise else pictures.mean

    def log_weights(self, x: Tensor, samples: int = 1) -> Tensor:
        """``log p(x|z) + log p(z) - log q(z|x)`` of draws ``z ~ q(z|x)``.

        Their mean estimates the ELBO, ``logsumexp - log K`` over them the importance-weighted bound.

        Args:
            x: observations, ``(B, *data.shape)``.
            samples: number of draws ``K``.

        Returns:
            ``(K, B)``, nats.

        Raises:
            UndefinedError: a part of the model has no density.
        """
        self.require_densities("log-weights")
        q = self.encode(x)
        z = q.rsample((samples,))
        weights: Tensor = self.decode(z).log_prob(x) + self.prior().log_prob(z) - q.log_prob(z)
        return weights

    def missing_densities(self) -> str:
        """Why this model bounds no ``log p(x)``, or nothing where it does."""
        for kind, part, has in (
            ("posterior", self.posterior, self.posterior.has_density),
            ("prior", self.prior, self.prior.has_density),
            ("decoder", self.decoder, self.decoder.is_density),
        ):
            if not has:
                name = (
                    self.spec.components[kind].name if kind in self.spec.components else type(part).__name__
                )
                return f"its {kind} {name!r} has no density"
        return ""

    def require_densities(self, what: str) -> None:
        """Refuse ``what`` where it is undefined.

        Raises:
            UndefinedError: a part of the model has no density; names it.
        """
        reason = self.missing_densities()
        if reason:
            raise UndefinedError(
                f"this model has no {what}: {reason}",
                hint="build one that has, for example: genmod build --posterior normal --prior normal --divergence kl",
            )

    @contextmanager
    def _networks(self) -> Iterator[None]:
        # Only networks may run in low precision: densities and divergences lose whole nats there.
        if self.autocast_dtype is None:
            yield
        else:
            with torch.autocast(self.device.type, self.autocast_dtype):
                yield
