"""Generative models: models that are trained on data and generate new examples."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn

from genmod.data.conditions import Conditions
from genmod.data.dataset import Batch, DataInfo, Dataset
from genmod.data.sources import as_dataset, as_examples, is_splits
from genmod.data.suited import Data, suited
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.conditioned import Given
from genmod.interfaces.objective import Terms
from genmod.interfaces.observations import Observations
from genmod.interfaces.part import MAIN, ParameterGroup
from genmod.interfaces.pretrained import Pretrained
from genmod.interfaces.sampler import Source
from genmod.options.schedule import Schedule
from genmod.spec import ModelSpec
from genmod.system.first import each_parameter
from genmod.system.random import seeded

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from genmod.system.explained import explained

__all__ = ["GenerativeModel", "NoLatentsError"]

_OF_LATENTS = frozenset(
    {
        *("show_interpolations", "show_latents", "show_reconstructions", "show_traversals"),
        *("encoder", "posterior", "prior", "network", "decoder", "divergence", "objective", "critic"),
        *(
            "latent_shape",
            "space",
            "latents",
            "encode",
            "decode",
            "decoded",
            "features",
            "encode_array",
            "transform",
        ),
        *("impute", "attach_sampler", "sampler", "latents_need_context", "given_to_decoder", "with_exposure"),
    }
)
"""What latent-variable models alone have."""


class NoLatentsError(UndefinedError, AttributeError):
    """Something of latents was asked of a model without them."""


@explained
class GenerativeModel(Pretrained, nn.Module, ABC):
    """A model that can be trained on data and generates new examples.

    A component of kind ``model`` is one that is whole, such as a flow of the data: a specification that names it has no other
    parts but a dataset. It is trained, saved, resumed, measured, sampled and compared as a latent-variable model is; what
    needs latents is refused with that reason.

    The laws: the loss is the mean over the examples of a batch; in evaluation mode :meth:`log_weights` of an example do not
    depend on the others; ``E[exp log_weights]`` is at most ``p(x)``, normalised over the support of :attr:`observations`, and
    where :attr:`exact` is true it is ``p(x)``, the density of :meth:`draws`; the same seed gives the same samples, within
    the range of the data.

    Args:
        spec: specification that it was assembled from.
        data: shape and range of the data.

    Raises:
        UsageError: it is to be conditional, and cannot be.
    """

    takes_conditions: bool = False
    """Whether it can be conditional: :attr:`conditions` say on what, and :meth:`terms`, :meth:`log_weights` and
    :meth:`sample` are given a context ``(B, conditions.size)``."""

    exact: bool = True
    """Whether :meth:`log_weights` are ``log p(x)`` itself; else their exponentials estimate it, or less."""

    has_latents: bool = False
    """Whether it is a latent-variable model, with codes to encode, decode and walk through."""

    conditions: Conditions | None = None
    """What it is conditioned on; None if it is not conditional."""

    weights_seed: int | None = None
    """The seed that its first weights were drawn with; None where they are from elsewhere, or it is not known."""

    def __init__(self, spec: ModelSpec, data: DataInfo) -> None:
        super().__init__()
        self.spec = spec
        self.data = data
        self.autocast_dtype: torch.dtype | None = None
        """The precision in which its networks run, set by :func:`genmod.train`; None for that of the parameters."""
        if spec.condition and self.takes_conditions:
            self.conditions = Conditions(spec.condition, data)
        elif spec.condition and not self.has_latents:
            raise UsageError(f"model {self._called!r} cannot be conditional", hint="leave --condition out")

    @abstractmethod
    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        """Loss and named terms of stored examples ``x (B, *data.shape)``, given the result of :meth:`context`."""

    def draws(self, n: int, context: Tensor | None = None, *, noise: bool = False) -> Tensor:
        """``n`` new examples from the global random state, called without gradients, ``(n, *data.shape)``.

        Args:
            n: how many.
            context: of each, ``(n, size)``, of a conditional model.
            noise: draw from the likelihood in place of returning its mean, where the model has one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method draws")

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        noise: bool = False,
        condition: str | None = None,
        context: Tensor | None = None,
        source: Source | None = None,
    ) -> Tensor:
        """``n`` new examples, ``(n, *data.shape)`` float, by :meth:`draws`.

        Args:
            n: how many.
            seed: of the random numbers; None draws from the global random state.
            noise: draw from the likelihood in place of returning its mean, where the model has one.
            condition: condition of a conditional model, ``7`` or ``shape=square,scale=2``; by default all values in
                turn.
            context: in place of it, the context of each example, ``(n, size)``.
            source: of latents, where there are any.

        Raises:
            UsageError: the model is not conditional, or not on that.
            UndefinedError: a source of latents is named, and there are none.
        """
        self.sampler_for(source)
        context = self.asked(condition, n, draw=True) if context is None else context
        with nullcontext() if seed is None else seeded(seed):
            return self.draws(n, context, noise=noise)

    @property
    def observations(self) -> Observations | None:
        """What :meth:`log_weights` are densities of; None for a model that has no density."""
        return None

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        """Estimates of ``log p(x)``: the mean of their exponentials is ``p(x)``, or less.

        Args:
            x: observations, ``(B, *data.shape)``, as :meth:`observe` returns them.
            samples: number of estimates ``K``; all are the same where :attr:`exact` is true.
            context: of each, ``(B, size)``.

        Returns:
            ``(K, B)``, nats.

        Raises:
            UndefinedError: the model has no density.
        """
        raise UndefinedError(f"this model has no log-likelihood: {self.missing_densities()}")

    def observe(self, x: Tensor) -> Tensor:
        """Stored examples → observations, as they are scored, ``(B, *data.shape)`` float; may draw."""
        values = self.data.values(x, self.dtype)
        return values if self.observations is None else self.observations.observe(values)

    def missing_densities(self) -> str:
        """Why this model bounds no ``log p(x)``, or nothing where it does."""
        return "" if self.observations is not None else f"model {self._called!r} has no density"

    def require_densities(self, what: str) -> None:
        """Refuse ``what`` where it is undefined.

        Raises:
            UndefinedError: the model has no density.
        """
        if self.missing_densities():
            raise UndefinedError(f"this model has no {what}: {self.missing_densities()}")

    @property
    def _called(self) -> str:
        """What the model is called."""
        named = self.spec.components.get("model")
        return named.name if named else type(self).__name__

    @property
    def wants_context(self) -> bool:
        """Whether anything but the values of an example is given to the model."""
        return self.conditions is not None

    def context(self, batch: Batch) -> Tensor | None:
        """The conditions of examples, ``(B, size)``; None if the model is not conditional."""
        return None if self.conditions is None else self.conditions.of(batch).to(self.device, self.dtype)

    def asked(self, condition: str | None, n: int, *, draw: bool = False) -> Tensor | None:
        """The context of ``n`` examples that are asked for, ``(n, size)``; None if the model is not conditional.

        Args:
            condition: such as ``7``, or ``shape=square``; what it does not name takes all values in turn.
            n: number of examples.
            draw: of no meaning here.

        Raises:
            UsageError: the model is not conditional, or not on that.
        """
        if self.conditions is not None:
            return self.conditions.chosen(condition, n).to(self.device, self.dtype)
        if condition:
            raise UsageError(
                "the model is not conditional", hint="build one that is: genmod build --condition label"
            )
        return None

    def given(self, context: Tensor | None) -> Any:
        """The model given ``context (B, size)``, as :meth:`context` or :meth:`asked` make it."""
        return self if context is None else Given(self, context)

    def show_samples(self, n: int = 64, **more: Any) -> "Figure":
        """New examples as a matplotlib figure; of a conditional model a row for each class.

        Example:
            >>> import genmod
            >>> figure = genmod.build(model="flow").show_samples(4, seed=1)
        """
        # The package hands on what lies on the floors above this one.
        import genmod

        return genmod.show_samples(self, n, **more)

    def sampler_for(self, source: Source | None) -> Any:
        """The sampler for a source of latents: None, since there are no latents.

        Raises:
            NoLatentsError: a source is named.
        """
        if source is not None:
            raise self._no_latents()
        return None

    def _no_latents(self) -> NoLatentsError:
        return NoLatentsError(
            f"model {self._called!r} has no latents",
            hint="build a latent-variable model: genmod build, without --model",
        )

    def __getattr__(self, name: str) -> Any:
        # Each step asks for parts some thirty times.
        if name in (parts := self.__dict__.get("_modules", ())):
            return parts[name]
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in _OF_LATENTS and not self.has_latents:
                raise self._no_latents() from None
            raise

    def groups(self) -> Mapping[str, ParameterGroup]:
        """Parameter groups by name; each parameter is in one group, and each group has its own optimizer."""
        return {MAIN: ParameterGroup(tuple(self.parameters()))}

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Every schedule among the options of its parts, by dotted path such as ``objective.beta``."""
        for path, part in self.named_modules():
            for name, value in vars(part).items():
                if isinstance(value, Schedule):
                    yield f"{path}.{name}", value

    @overload
    def suited(self, data: Data) -> Data: ...
    @overload
    def suited(self, data: Any) -> Any: ...
    def suited(self, data: Any) -> Any:
        """Data of any kind in terms of this model, by :func:`genmod.data.suited.suited`.

        Args:
            data: a dataset or a split; or what :func:`genmod.as_dataset` takes: several splits become a dataset, an array and
                the like become a split of all of their examples.

        Raises:
            DataError: they do not suit the data that the model was built for.
        """
        if is_splits(data):
            data = as_dataset(data, known=self.data)
        elif not isinstance(data, Dataset):
            data = as_examples(data, self.data)
        return suited(data, self.data, self.spec.condition)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next((p.device for p in each_parameter(self)), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters; data are converted to it."""
        # No next() with a default, which older compilers of torch do not know.
        for parameter in each_parameter(self):
            if parameter.is_floating_point():
                return parameter.dtype
        return torch.get_default_dtype()
