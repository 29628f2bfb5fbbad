"""The state of a run between two steps; saved in and restored from checkpoints."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn, optim

from genmod.errors import FileError, UsageError
from genmod.interfaces.part import ParameterGroup
from genmod.system.shards import StoredTensor
from genmod.training.checkpoint import Checkpoint
from genmod.training.lr import LearningRate, make_optimizer
from genmod.training.metrics import RunningMeans
from genmod.training.settings import TrainSettings
from genmod.training.sharding import local_part, shared_out_like

__all__ = ["RunState", "begin"]


@dataclass
class RunState:
    """Everything that changes from step to step and is not a function of (seed, step).

    Args:
        model: the model that is trained.
        optimizers: one for each parameter group.
        lr: the learning-rate schedule.
        ema: exponential moving averages of weights, by name; empty if there are none.
        best: weights of the lowest validation loss; empty before the first validation.
        means: training metrics since the last row.
        step: optimizer steps done.
        best_step: step of the lowest validation loss.
        best_loss: that loss, nats.
        waited: epochs since then.
        seconds: wall time of all parts of the run.
        skipped: how often a group of parameters was left as it is, since its gradient was too large.
    """

    model: nn.Module
    optimizers: Mapping[str, optim.Optimizer]
    lr: LearningRate
    ema: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    means: RunningMeans = field(default_factory=RunningMeans)
    step: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    waited: int = 0
    seconds: float = 0.0
    skipped: int = 0

    def weights(self) -> dict[str, Tensor]:
        """The weights to validate and save: moving averages where there are any. Sharded ones stay so."""
        return {**self.model.state_dict(), **self.ema}

    def checkpoint(self, more: Mapping[str, Any]) -> Checkpoint:
        """The state as a checkpoint, with ``more`` plain data. What is sharded stays so."""
        tensors: dict[str, Mapping[str, Tensor]] = {"model": self.model.state_dict()}
        slots, plain = self._slots()
        for name, group in (("optimizer", slots), ("ema", self.ema), ("best", self.best)):
            if group:
                tensors[name] = group
        state = {
            "best_step": self.best_step,
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "waited": self.waited,
            "seconds": self.seconds,
            "skipped": self.skipped,
            "means": self.means.state(),
            "lr": self.lr.state(),
            "optimizer": plain,
        }
        return Checkpoint(self.step, tensors, {"run": state, **more})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint; nothing is changed unless all of it fits.

        Raises:
            FileError: it belongs to another model, or is incomplete.
        """
        try:
            state = checkpoint.state["run"]
            weights = dict(checkpoint.tensors["model"])
            _fits(weights, self.model.state_dict())
            for name in ("ema", "best"):
                if checkpoint.tensors.get(name):
                    _fits(checkpoint.tensors[name], self.model.state_dict(), whole=name == "best")
            optimizer_states = self._optimizer_states(
                checkpoint.tensors.get("optimizer", {}), state["optimizer"]
            )
            best_loss = math.inf if state["best_loss"] is None else float(state["best_loss"])
            counters = int(state["best_step"]), int(state["waited"]), float(state["seconds"])
            means, lr, skipped = state["means"], state["lr"], int(state.get("skipped", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"the checkpoint of step {checkpoint.step} does not belong to this model: {error}"
            ) from None
        own = self.model.state_dict()
        self.model.load_state_dict({name: shared_out_like(t, own[name]) for name, t in weights.items()})
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(optimizer_states[name])
        self.ema = {
            name: shared_out_like(t, own[name]) for name, t in checkpoint.tensors.get("ema", {}).items()
        }
        self.best = {
            # Of its own, since better weights are written into it.
            name: shared_out_like(t, own[name]).clone()
            for name, t in checkpoint.tensors.get("best", {}).items()
        }
        self.means.restore(means)
        self.lr.restore(lr)
        self.step, self.best_loss, self.skipped = checkpoint.step, best_loss, skipped
        self.best_step, self.waited, self.seconds = counters

    def _names(self) -> dict[int, str]:
        return {id(p): name for name, p in self.model.named_parameters()}

    def _slots(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Optimizer states by ``parameter/slot``: tensors, and plain values."""
        names, tensors, plain = self._names(), dict[str, Tensor](), dict[str, Any]()
        for optimizer in self.optimizers.values():
            for parameter, slots in optimizer.state.items():
                for slot, value in slots.items():
                    where = tensors if isinstance(value, Tensor) else plain
                    where[f"{names[id(parameter)]}/{slot}"] = value
        return tensors, plain

    def _optimizer_states(
        self, tensors: Mapping[str, Tensor | StoredTensor], plain: Mapping[str, Any]
    ) -> dict[str, Any]:
        names = self._names()
        by_parameter: dict[str, dict[str, Any]] = {}
        for key, value in (*tensors.items(), *plain.items()):
            name, _, slot = key.rpartition("/")
            by_parameter.setdefault(name, {})[slot] = value
        states = {}
        for group, optimizer in self.optimizers.items():
            own = optimizer.state_dict()
            parameters = [p for g in optimizer.param_groups for p in g["params"]]
            own["state"] = {
                i: {slot: _slot(value, p) for slot, value in by_parameter.pop(names[id(p)]).items()}
                for i, p in enumerate(parameters)
                if names[id(p)] in by_parameter
            }
            states[group] = own
        if by_parameter:
            raise ValueError(f"optimizer state of unknown {', '.join(sorted(by_parameter)[:3])}")
        return states

    def keep_better(self, loss: float, starts: Iterable[int]) -> bool:
        """Keep the weights if their loss of validation is the lowest so far; whether it is.

        Args:
            loss: of validation.
            starts: first steps of what is trained later, as a critic is, which changes what the model is trained for:
                weights from before do not count after.
        """
        if any(self.best_step <= start < self.step for start in starts):
            self.best_loss = math.inf
        better = loss < self.best_loss
        if better:
            self.best_loss, self.best_step = loss, self.step
            kept = self.best
            # Into what is there already: two copies of large weights would be much for a moment.
            self.best = {
                name: kept[name].copy_(tensor.detach()) if name in kept else tensor.detach().clone()
                for name, tensor in self.weights().items()
            }
        return better

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the moving averages, if there are any, replace the weights of the model."""
        named = dict(self.model.named_parameters())
        own = {name: named[name].data for name in self.ema}
        for name, mean in self.ema.items():
            named[name].data = mean
        try:
            yield
        finally:
            for name, weight in own.items():
                named[name].data = weight

    @torch.no_grad()
    def update_ema(self, decay: float, stopped: Tensor | None = None) -> None:
        """Update the moving averages; the decay is smaller in the first steps, so that early weights are forgotten.

        Args:
            decay: share of the average that stays.
            stopped: 1 where nothing is to move any more, ``()``, on the device.
        """
        weights = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if not self.ema:
            self.ema = {name: p.detach().clone() for name, p in weights.items()}
        decay = min(decay, (1 + self.step) / (10 + self.step))
        means = [local_part(mean) for mean in self.ema.values()]
        now = [local_part(weights[name]) for name in self.ema]
        if stopped is None:
            torch._foreach_lerp_(means, now, 1 - decay)
        else:
            apart = torch._foreach_sub(now, means)
            torch._foreach_mul_(apart, (1 - stopped) * (1 - decay))
            torch._foreach_add_(means, apart)


def _slot(value: Any, parameter: Tensor) -> Any:
    """A value of an optimizer's state, sharded like its parameter if it has its shape."""
    if isinstance(value, StoredTensor) and not value.shape:
        return value.whole()
    if isinstance(value, Tensor | StoredTensor) and value.shape:
        return shared_out_like(value, parameter)
    return value


def _fits(
    given: Mapping[str, Tensor | StoredTensor], expected: Mapping[str, Tensor], *, whole: bool = True
) -> None:
    if whole and set(given) != set(expected):
        raise ValueError(f"its tensors differ by {', '.join(sorted(set(given) ^ set(expected))[:3])}")
    for name, tensor in given.items():
        if (
            name not in expected
            or tensor.shape != expected[name].shape
            or tensor.dtype != expected[name].dtype
        ):
            raise ValueError(f"the tensor {name} is unknown, or has another shape or type")


def begin(
    model: nn.Module, groups: Mapping[str, ParameterGroup], settings: TrainSettings, total: int
) -> RunState:
    """The state before the first of ``total`` steps.

    Raises:
        UsageError: the model has no trainable parameters, or an optimizer or schedule does not exist.
    """
    if not any(group.parameters for group in groups.values()):
        raise UsageError("the model has no parameters to train")
    optimizers = {}
    for name, group in groups.items():
        if not group.parameters:
            continue
        options = dict(group.optimizer)
        kind = options.pop("name", settings.optimizer)
        if kind == settings.optimizer:
            options = {**settings.optimizer_options, **options}
        optimizers[name] = make_optimizer(kind, group.parameters, settings.lr * group.lr, options)
    lr = LearningRate(
        settings.lr, settings.schedule, settings.schedule_options, warmup=settings.warmup, total=total
    )
    return RunState(model, optimizers, lr)
