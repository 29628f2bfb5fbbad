"""Sampling from a fitted sampler in place of the prior."""

from collections.abc import Callable
from typing import get_args

from torch import nn

from genmod.defaults import SAMPLER
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.sampler import Origin, Sampler, Source
from genmod.system.tensors import fingerprint

__all__ = ["WithSampler"]


class WithSampler(nn.Module):
    """A module that draws latents from an attached sampler, if it has one, in place of its prior."""

    # In a tuple, so that it is not a submodule: it is neither trained nor saved with the weights.
    _sampler: "tuple[Sampler | Callable[[], Sampler], ...]" = ()
    # Address and version counter of each tensor when the weights were last verified to be those of the sampler.
    _seen: tuple[tuple[int, int], ...] = ()

    @property
    def sampler(self) -> Sampler | None:
        """The sampler that :func:`genmod.fit_sampler` fitted to the codes, from which new examples are drawn.

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
        """Attach a sampler, or a function that loads it when it is first used; None detaches it."""
        self._sampler = () if sampler is None else (sampler,)
        self._seen = ()

    def sampler_for(self, source: Source | None) -> Sampler | None:
        """The sampler for a source of latents; None if they come from the prior.

        Args:
            source: ``sampler`` or ``prior``; None takes the sampler if there is one.

        Raises:
            UndefinedError: the source is ``sampler``, and there is none.
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
