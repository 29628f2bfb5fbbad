"""Samplers: distributions of latents that are fitted to the codes of a trained model, to draw new examples from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint

from genmod.data.dataset import SplitName
from genmod.interfaces.given import GivenModel
from genmod.spec import ComponentSpec
from genmod.system.explained import explained

__all__ = ["Codes", "Origin", "Sampler", "Source"]

Codes = Literal["draws", "means"]
"""What a sampler is fitted to: a draw of ``q(z|x)`` for each example, or its mean."""

Source = Literal["prior", "sampler"]
"""Where the latents of new examples come from."""


@dataclass(frozen=True)
class Origin:
    """Where a sampler comes from: what it is and what it was fitted to.

    Args:
        component: name, provider, version, revision and options.
        latent_shape: shape of one latent.
        codes: what of ``q(z|x)`` it was fitted to.
        split: which examples were encoded.
        count: how many they were.
        context: length of the context that it was given with each code; 0 of one that depends on none.
        seed: of the draws and of the fit.
        weights: SHA-256 of the weights that encoded them.
        log_density: mean ``log p(z)`` over the codes of other examples, the validation split; nats per code.
            None where the sampler has no density.
    """

    component: ComponentSpec
    latent_shape: tuple[int, ...]
    codes: Codes
    split: SplitName
    count: int
    seed: int
    weights: str
    log_density: float | None
    context: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "component": self.component.to_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            ValueError: something is missing or of the wrong type; also TypeError and KeyError.
        """
        # Written before samplers knew conditions, it has no context.
        values = {field.name: plain[field.name] for field in fields(cls) if field.name != "context"}
        values["context"] = plain.get("context", 0)
        component = ComponentSpec.from_json(values["component"])
        if component.module or not isinstance(values["weights"], str):
            raise ValueError("its component or its weights")
        shape = tuple(values["latent_shape"])
        whole = (*shape, values["count"], values["seed"], values["context"], component.revision)
        if not shape or not all(type(n) is int for n in whole) or min(*shape, values["count"]) < 1:
            raise ValueError("its shape or its numbers")
        if values["codes"] not in get_args(Codes) or values["split"] not in get_args(SplitName):
            raise ValueError("its codes or its split")
        density = values["log_density"]
        return cls(
            **values
            | {
                "component": component,
                "latent_shape": shape,
                "log_density": None if density is None else float(density),
            }
        )


@explained
class Sampler(nn.Module, ABC):
    """A distribution of latents that is fitted after training, so that any model generates.

    ``() → Distribution`` with ``batch_shape ()`` and ``event_shape latent_shape``; of a conditional model, where
    :attr:`wants_context`, ``context (B, size) → Distribution`` with ``batch_shape (B,)``.

    The laws: all that is fitted is in parameters and buffers; the same codes and seed give the same ones,
    bit for bit, whatever was fitted before, and leave the global random states alone; draws have the
    means, the spreads and, unless :attr:`independent`, the correlations of the codes; the density where there is
    one is normalised and agrees with the draws.

    Args:
        latent_shape: shape of one latent.
    """

    support: Constraint
    """Where draws lie, event dimensions included; all real numbers unless a class says otherwise."""

    has_density: bool = True
    """Whether its distribution has a ``log_prob``."""

    independent: bool = False
    """Whether it takes latents for independent of each other, so that correlations of the codes are lost."""

    most_scored: int = 5000
    """Of as many codes that were held out the log-density is recorded; fewer where it takes long."""

    wants_context: bool = False
    """Whether it depends on the context of a conditional model. Its constructor is then given, after ``latent_shape``,
    the length of a context, 0 of a model that is not conditional; ``fit`` and ``forward`` have an argument ``context``."""

    origin: Origin | None = None
    """What it was fitted to; filled in by :func:`genmod.fit_sampler`."""

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        self.support = constraints.independent(constraints.real, len(latent_shape))

    def bind(self, model: GivenModel) -> None:
        """Called once before it is fitted, and before a saved state is read, with the model whose codes these are.

        What it takes of the model beside its codes becomes part of its state when it is fitted.
        """
        return

    @abstractmethod
    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        """Fit to codes, in place of what was fitted before.

        Beside these arguments it may have ``context``, that of each code, ``(N, size)``, see :attr:`wants_context`, and
        ``folder``, a path: there a fit by steps keeps its state as it goes, and one that is given the same codes and
        seed goes on from what it finds, bit for bit. Without it, nothing is kept.

        Args:
            codes: ``(N, *latent_shape)``, N from 1; on the device and in the precision of the result.
            seed: of everything that is drawn.
            on_step: called with the number of steps that are done, and of all, where there are many.

        Raises:
            UsageError: these are too few codes.
        """

    @abstractmethod
    def forward(self) -> Distribution:
        """The distribution that was fitted, ``batch_shape ()``, ``event_shape latent_shape``."""

    def given(self, context: Tensor | None) -> Distribution:
        """The distribution for a context ``(B, size)``, ``batch_shape (B,)`` where it depends on it, else ``()``."""
        if self.wants_context and context is not None:
            return self.forward(context)  # type: ignore[call-arg]
        return self.forward()

    def reserve(self, count: int) -> None:
        """Make room for the state of a fit to ``count`` codes, before a saved one is read.

        Only where shapes of parameters or buffers depend on the number of codes.
        """
        return
