"""Samplers: distributions of latents that are fitted to the codes of a trained model, to draw new examples from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint

from genmod.data.dataset import SplitName
from genmod.defaults import SAMPLER
from genmod.errors import UndefinedError, UsageError
from genmod.spec import ComponentSpec
from genmod.system.tensors import fingerprint

__all__ = ["Codes", "Origin", "Sampler", "Source", "WithSampler"]

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

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            ValueError: something is missing or of the wrong type; also TypeError and KeyError.
        """
        values = {field.name: plain[field.name] for field in fields(cls)}
        if set(values["component"]) != {field.name for field in fields(ComponentSpec)}:
            raise ValueError("its component")
        component = ComponentSpec(**values["component"])
        texts = (component.name, component.provider, component.version, values["weights"])
        if not all(isinstance(text, str) for text in texts) or not isinstance(component.options, dict):
            raise ValueError("its component or its weights")
        shape = tuple(values["latent_shape"])
        whole = (*shape, values["count"], values["seed"], component.revision)
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


class Sampler(nn.Module, ABC):
    """A distribution of latents that is fitted after training, so that any model generates.

    ``() → Distribution`` with ``batch_shape ()`` and ``event_shape latent_shape``.

    The laws: all that is fitted is in parameters and buffers; the same codes and seed give the same ones,
    bit for bit, whatever was fitted before, and leave the global random states alone; draws have the
    distribution of the codes, and the density where there is one is normalised and agrees with the draws.

    Args:
        latent_shape: shape of one latent.
    """

    support: Constraint
    """Where draws lie, event dimensions included; all real numbers unless a class says otherwise."""

    has_density: bool = True
    """Whether its distribution has a ``log_prob``."""

    origin: Origin | None = None
    """What it was fitted to; filled in by :func:`genmod.fit_sampler`."""

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        self.support = constraints.independent(constraints.real, len(latent_shape))

    @abstractmethod
    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        """Fit to codes, in place of what was fitted before.

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

    def reserve(self, count: int) -> None:
        """Make room for the state of a fit to ``count`` codes, before a saved one is read.

        Only where shapes of parameters or buffers depend on the number of codes.
        """
        return


class WithSampler(nn.Module):
    """What can have a sampler: it is drawn from in place of the prior."""

    # In a tuple, so that it is no part of the module: it is neither trained nor saved with its weights.
    _sampler: "tuple[Sampler | Callable[[], Sampler], ...]" = ()
    # Where each tensor was, and how often it had been written to, when the weights were last those of the sampler.
    _seen: tuple[tuple[int, int], ...] = ()

    @property
    def sampler(self) -> Sampler | None:
        """What was fitted to the codes by :func:`genmod.fit_sampler`; new examples come from it.

        Raises:
            UndefinedError: it was fitted to other weights than the model has now.
            FileError: its file is missing or damaged.
        """
        for held in self._sampler:
            made = held if isinstance(held, Sampler) else held()
            self._sampler = (made,)
            if made.origin is not None:
                self._check_weights(made.origin)
            return made
        return None

    def _check_weights(self, origin: Origin) -> None:
        now = tuple((tensor.data_ptr(), tensor._version) for tensor in self.state_dict().values())
        if now == self._seen:
            return
        if fingerprint(self) != origin.weights:
            raise UndefinedError(
                f"the sampler ({origin.component.name}) was fitted to other weights than the model has now",
                hint="fit it again: genmod fit-sampler --overwrite, or genmod.fit_sampler(model)",
            )
        self._seen = now

    def attach_sampler(self, sampler: "Sampler | Callable[[], Sampler] | None") -> None:
        """Draw new examples from a sampler, or from what makes it when it is first needed; None forgets it."""
        self._sampler = () if sampler is None else (sampler,)
        self._seen = ()

    def sampler_for(self, source: Source | None) -> Sampler | None:
        """The sampler where latents are to come from it: where it is asked for, or is there and nothing is asked for.

        Raises:
            UndefinedError: it is asked for, and there is none.
            UsageError: there is no such source.
        """
        if source not in (None, *get_args(Source)):
            raise UsageError(f"latents from {source!r}", hint=f"one of: {', '.join(get_args(Source))}")
        sampler = None if source == "prior" else self.sampler
        if sampler is None and source == "sampler":
            raise UndefinedError(
                "no sampler was fitted to the codes of this model",
                hint=f"fit one: genmod fit-sampler --sampler {SAMPLER}",
            )
        return sampler
