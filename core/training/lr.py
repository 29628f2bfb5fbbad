"""Learning-rate schedules and optimizers, by name."""

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn, optim

from genmod.errors import UsageError
from genmod.options.classes import classes_of, construct, find_class
from genmod.training.fused_adam import short_steps

__all__ = ["LearningRate", "make_optimizer"]

_OURS = ("constant", "cosine")
FUSED_ON = ("cpu", "cuda", "mps")
"""Types of devices on which torch has fused optimizers."""


class LearningRate:
    """A learning rate: ``constant``, ``cosine``, or a class of ``torch.optim.lr_scheduler`` by name, after a warm-up.

    ``constant`` and ``cosine`` are functions of the step. Torch's schedulers step once an epoch, as their
    documentation recommends; ``plateau`` (ReduceLROnPlateau) follows the validation loss.

    Args:
        peak: the highest learning rate.
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
        # Torch's schedulers change the learning rate of an optimizer; this one exists only for that.
        self._optimizer = make_optimizer("sgd", [nn.Parameter(torch.zeros(()))], peak)
        if schedule in _OURS:
            if options:
                raise UsageError(f"schedule {schedule!r} has no options; given: {', '.join(options)}")
        else:
            self._scheduler = _scheduler(schedule, self._optimizer, options)

    @property
    def follows_epochs(self) -> bool:
        """Whether it is a scheduler of torch, which is advanced after each epoch, and is known only then."""
        return self._scheduler is not None

    def at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return float(self._optimizer.param_groups[0]["lr"]) * (step + 1) / self.warmup
        if self.schedule == "cosine":
            part = (step - self.warmup) / max(1, self.total - self.warmup)
            return self.peak * 0.5 * (1 + math.cos(math.pi * part))
        return float(self._optimizer.param_groups[0]["lr"])

    def end_epoch(self, validation_loss: float) -> None:
        """Advance a scheduler of torch by one epoch."""
        if isinstance(self._scheduler, optim.lr_scheduler.ReduceLROnPlateau):
            self._scheduler.step(validation_loss)
        elif self._scheduler is not None:
            self._optimizer.step()
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        """The state as plain data, for :meth:`restore`."""
        if self._scheduler is None:
            return {}
        plain = {
            key: value
            for key, value in self._scheduler.state_dict().items()
            if isinstance(value, int | float | str | bool | list | type(None))
        }
        # JSON has no infinity, which is the best loss of a plateau scheduler before its first epoch.
        plain = {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in plain.items()
        }
        return {"scheduler": plain, "lr": self._optimizer.param_groups[0]["lr"]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state that :meth:`state` returned."""
        if self._scheduler is not None:
            plain = {k: float(v) if v in ("inf", "-inf") else v for k, v in state["scheduler"].items()}
            self._scheduler.load_state_dict(plain)
            self._optimizer.param_groups[0]["lr"] = state["lr"]


def _scheduler(name: str, optimizer: optim.Optimizer, options: Mapping[str, Any]) -> Any:
    # Schedulers that take functions or other schedulers cannot be written as a name with options.
    every = classes_of(
        optim.lr_scheduler, optim.lr_scheduler.LRScheduler, without=("lr_lambda", "schedulers")
    )
    known = {key.removesuffix("-lr"): cls for key, cls in every.items()}
    known["plateau"] = optim.lr_scheduler.ReduceLROnPlateau
    cls = find_class("schedule", re.sub("[-_]?lr$", "", name.lower()), known, _OURS)
    return construct(f"schedule {name!r}", cls, (optimizer,), options)


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, options: Mapping[str, Any] | None = None
) -> optim.Optimizer:
    """An optimizer of ``torch.optim``, fused where that is possible.

    For small models, fused kernels take a third of the time of the default ones.

    Raises:
        UsageError: no such optimizer, or it has no such option.

    Example:
        >>> make_optimizer("adam-w", [nn.Parameter(torch.zeros(2))], 1e-3).defaults["fused"]
        True
    """
    known = classes_of(optim, optim.Optimizer)
    # These two need a closure or sparse gradients, which a loop over batches does not provide.
    cls = find_class("optimizer", name, {k: c for k, c in known.items() if k not in ("lbfgs", "sparse-adam")})
    parameters, arguments = list(parameters), dict(options or {})
    fusible = all(p.device.type in FUSED_ON and p.is_floating_point() for p in parameters)
    # Of sharded weights, torch has these fused kernels alone.
    fusible = fusible and (
        cls in (optim.Adam, optim.AdamW) or not any(hasattr(p, "to_local") for p in parameters)
    )
    accepted = inspect.signature(cls).parameters
    if "fused" in accepted and fusible and not {"fused", "foreach", "differentiable"} & set(arguments):
        arguments["fused"] = True
    made: optim.Optimizer = construct(f"optimizer {name!r}", _plain(cls), (parameters, lr), arguments)
    return made


@cache
def _plain(cls: type[optim.Optimizer]) -> type[optim.Optimizer]:
    """An optimizer's class whose methods do not import torch's compiler.

    Torch keeps the compiler away from them, and imports it for that, which takes as long as the import of torch itself.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(cls, name)) for name in names}
    step: Any = optim.Optimizer.profile_hook_step(torch.no_grad()(inspect.unwrap(cls.step)))
    step = short_steps(step) if issubclass(cls, (optim.Adam, optim.AdamW)) else step
    step.hooked = True  # or else torch would wrap it again
    return type(cls.__name__, (cls,), {**methods, "step": step})
