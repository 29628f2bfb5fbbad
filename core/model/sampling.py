"""A fitted sampler in use: a model draws its latents from it in place of the prior."""

from collections.abc import Callable
from typing import get_args

from torch import nn

from genmod.defaults import SAMPLER
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.sampler import Origin, Sampler, Source
from genmod.system.tensors import fingerprint

__all__ = ["WithSampler"]


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
