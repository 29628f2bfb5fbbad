"""The learning rate over a run."""

import inspect
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import optim

from genmod.errors import UsageError

__all__ = ["LearningRate"]

_OURS = ("constant", "cosine")
_ALIASES = {"plateau": "reducelronplateau"}


class LearningRate:
    """A learning rate: ``constant``, ``cosine``, or a class of ``torch.optim.lr_scheduler`` by name, after a warm-up.

    ``constant`` and ``cosine`` are functions of the step. Torch's schedulers move once an epoch, as their
    documentation has it; ``plateau`` (ReduceLROnPlateau) watches the validation loss.

    Args:
        peak: the learning rate, at its highest.
        schedule: name, in any spelling.
        options: keyword arguments of torch's scheduler.
        warmup: steps in which it rises linearly from 0.
        total: steps of the whole run.

    Raises:
        UsageError: no such scheduler, or it has no such option.

    Example:
        >>> lr = LearningRate(0.1, "cosine", {}, warmup=2, total=12)
        >>> [round(lr.at(step), 3) for step in (0, 1, 2, 7, 12)]
        [0.05, 0.1, 0.1, 0.05, 0.0]
    """

    def __init__(
        self, peak: float, schedule: str, options: Mapping[str, Any], *, warmup: int, total: int
    ) -> None:
        self.peak, self.schedule, self.warmup, self.total = peak, schedule, warmup, total
        self._scheduler: Any = None
        # Torch's schedulers move the rate of an optimizer; this one has nothing else to do.
        self._optimizer = optim.SGD([torch.zeros(())], lr=peak)
        if schedule in _OURS:
            if options:
                raise UsageError(f"schedule {schedule!r} has no options; was given {', '.join(options)}")
        else:
            self._scheduler = _make(schedule, self._optimizer, options)

    def at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return float(self._optimizer.param_groups[0]["lr"]) * (step + 1) / self.warmup
        if self.schedule == "cosine":
            part = (step - self.warmup) / max(1, self.total - self.warmup)
            return self.peak * 0.5 * (1 + math.cos(math.pi * part))
        return float(self._optimizer.param_groups[0]["lr"])

    def end_epoch(self, validation_loss: float) -> None:
        """Move a scheduler of torch by one epoch."""
        if isinstance(self._scheduler, optim.lr_scheduler.ReduceLROnPlateau):
            self._scheduler.step(validation_loss)
        elif self._scheduler is not None:
            self._optimizer.step()
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        """Plain data from which :meth:`restore` goes on."""
        if self._scheduler is None:
            return {}
        plain = {
            key: value
            for key, value in self._scheduler.state_dict().items()
            if isinstance(value, int | float | str | bool | list | type(None))
        }
        # JSON has no infinity, which is what a plateau has before its first epoch.
        plain = {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in plain.items()
        }
        return {"scheduler": plain, "lr": self._optimizer.param_groups[0]["lr"]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        if self._scheduler is not None:
            plain = {k: float(v) if v in ("inf", "-inf") else v for k, v in state["scheduler"].items()}
            self._scheduler.load_state_dict(plain)
            self._optimizer.param_groups[0]["lr"] = state["lr"]


def _make(name: str, optimizer: optim.Optimizer, options: Mapping[str, Any]) -> Any:
    known = {
        key.lower(): cls
        for key, cls in vars(optim.lr_scheduler).items()
        if inspect.isclass(cls)
        and issubclass(cls, optim.lr_scheduler.LRScheduler)
        # Those made of functions or of other schedulers cannot be written as a name with options.
        and not {"lr_lambda", "schedulers"} & set(inspect.signature(cls).parameters)
        and cls is not optim.lr_scheduler.LRScheduler
    }
    key = name.lower().replace("-", "").replace("_", "")
    key = _ALIASES.get(key, key)
    cls = known.get(key) or known.get(f"{key}lr")
    if cls is None:
        names = [*_OURS, *_ALIASES, *sorted(known)]
        close = get_close_matches(name.lower(), names, 1)
        raise UsageError(
            f"no schedule {name!r}" + (f"; did you mean {close[0]}?" if close else ""),
            hint=f"one of: {', '.join(names)}",
        )
    accepted = set(inspect.signature(cls).parameters) - {"optimizer", "last_epoch"}
    unknown = sorted(set(options) - accepted)
    if unknown:
        raise UsageError(
            f"schedule {name!r} has no option {', '.join(unknown)}",
            hint=f"it has: {', '.join(sorted(accepted))}",
        )
    try:
        return cls(optimizer, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"schedule {name!r} refuses its options: {error}") from error
