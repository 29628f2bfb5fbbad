"""What a run would do: its steps, and how much memory and time they take, from a few steps of the model itself."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import Batch, Dataset, Split
from genmod.interfaces.model import GenerativeModel
from genmod.model.opening import data_for
from genmod.model.pieces import examples_at_once
from genmod.system.deterministic import deterministic
from genmod.system.device import pick_device
from genmod.system.failures import named_failures
from genmod.system.random import seed_for, seeded
from genmod.training.activation_checkpointing import activation_checkpointing
from genmod.training.freezing import frozen
from genmod.training.precision import products, settled
from genmod.training.settings import TrainSettings
from genmod.training.signals import StopSignals
from genmod.training.tracking import check_trackers
from genmod.training.trainer import Run
from genmod.training.validation import validation_means

__all__ = ["Plan", "plan"]

_WARM, _MOST_STEPS, _SECONDS = 2, 20, 2.0


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Args:
        settings: all of them, as plain data.
        device: of the run.
        examples: in each split that is used.
        steps: optimizer steps.
        epochs: passes over the training split.
        batch_size: examples in a step.
        learning_rate: at the first step of some epochs, by step; None where torch's schedule decides during the run.
        parameters: of each part; those that parts share count in each.
        trained: parameters that move.
        fixed: those that do not.
        memory: bytes on the device, by what they are for.
        peak: most bytes that were taken in the steps tried; None where the device does not say.
        seconds: of a step and of a validation, as measured, and of the whole run.
        tried: steps that were measured.
    """

    settings: Mapping[str, Any]
    device: str
    examples: Mapping[str, int]
    steps: int
    epochs: float
    batch_size: int
    learning_rate: Mapping[int, float] | None
    parameters: Mapping[str, int]
    trained: int
    fixed: int
    memory: Mapping[str, int]
    peak: int | None
    seconds: Mapping[str, float]
    tried: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def plan(model: GenerativeModel, data: Dataset | None, settings: TrainSettings, root: Any = None) -> Plan:
    """What a run would do; nothing is written.

    The model is trained for a few steps, at most two seconds or so, and is of no use afterwards. What would stop the run at
    its beginning is refused as there.

    Args:
        model: with its first weights.
        data: to train on; None for those that it was built for.
        settings: of the run. Steps are tried uncompiled.
        root: folder with data files.

    Raises:
        UsageError, DataError: as :func:`genmod.train`.
        NonFiniteError: a step gave a value that is not finite.
    """
    check_trackers(settings.trackers)
    data = model.suited(data_for(model.spec, model.data, data, root))
    device = pick_device(settings.device)
    settings = settled(settings, model, device)
    tried = replace(settings, trackers=(), compile=False)
    with (
        seeded(seed_for(settings.seed, "run")),
        named_failures(),
        deterministic(settings.deterministic),
        products(settings, device),
        frozen(model, settings.freeze),
        activation_checkpointing(model, settings.checkpoint_activations),
    ):
        parameters = {
            name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
        }
        run = Run(model, data, tried, None, None, lambda event: None, StopSignals(), {})
        try:
            model.train()
            counts = {moves: _count(model, moves) for moves in (True, False)}
            memory, times = _memory(run), list(_steps(run))
            on_gpu = run.device.type == "cuda"
            peak = torch.cuda.max_memory_allocated(run.device) if on_gpu else None
            validation = _seconds_of_validation(run)
        finally:
            run.batches.close()
    epochs = run.total / run.per_epoch
    step = median(times[_WARM:] or times)
    return Plan(
        settings.to_json(),
        str(run.device),
        {name: len(data.split(name)) for name in ("train", "validation")},  # type: ignore[arg-type]
        run.total,
        epochs,
        run.batches.batch_size,
        _learning_rate(run),
        {name: count for name, count in parameters.items() if count},
        counts[True],
        counts[False],
        {**memory, **_memory_of_state(run)},
        peak,
        {
            "step": step,
            "validation": validation,
            "run": step * run.total + validation * math.ceil(epochs),
        },
        len(times),
    )


def _count(model: GenerativeModel, moves: bool) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad is moves)


def _steps(run: Run) -> Iterator[float]:
    """The seconds of each step that is tried."""
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    began = time.perf_counter()
    for _ in range(min(_MOST_STEPS, run.total)):
        last = time.perf_counter()
        run.step()
        run.state.step += 1
        if run.settings.ema:
            run.state.update_ema(run.settings.ema)
        _wait_for(run.device)
        now = time.perf_counter()
        yield now - last
        if now - began > _SECONDS:
            break
    run.look()


def _seconds_of_validation(run: Run) -> float:
    """The seconds of a validation, from its first examples."""
    size = min(len(run.validation), examples_at_once(run.model))
    some = _First(run.validation, size)
    began = time.perf_counter()
    validation_means(run.model, run.model.terms, some, seed=run.settings.seed, team=None)
    _wait_for(run.device)
    return (time.perf_counter() - began) * len(run.validation) / size


def _memory(run: Run) -> dict[str, int]:
    """Bytes of the weights, their gradients, the data, and what a batch keeps for its gradients."""
    moving = [p for p in run.model.parameters() if p.requires_grad]
    held = run.batches.held
    tensors = () if held is None else (held.x, held.labels, held.factors)
    batch = run.batches[0]
    size = -(-len(batch.x) // run.stepper.parts)
    context = run.model.context(batch)
    own = {t.untyped_storage().data_ptr() for t in run.model.state_dict().values()}
    with _kept(own) as kept:
        run.terms(batch.x[:size], *(() if context is None else (context[:size],)))
    return {
        "weights": sum(t.nbytes for t in run.model.state_dict().values()),
        "gradients": sum(p.nbytes for p in moving),
        "activations": sum(kept.values()),
        "data": sum(t.nbytes for t in tensors if t is not None),
    }


def _memory_of_state(run: Run) -> dict[str, int]:
    """Bytes that remain between steps: of the optimizers, once they have stepped, and of copies of the weights."""
    slots = [
        value
        for optimizer in run.state.optimizers.values()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    copies = sum(t.nbytes for t in run.state.weights().values())
    averages = sum(t.nbytes for t in run.state.ema.values())
    return {"optimizer": sum(t.nbytes for t in slots), "best weights": copies, "averages": averages}


@contextmanager
def _kept(own: set[int]) -> Iterator[dict[int, int]]:
    """Context that notes the bytes of each tensor that is kept for gradients, by its place in memory, weights left out."""
    found: dict[int, int] = {}
    alive: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
            # While it lives, nothing else has its place.
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield found


def _learning_rate(run: Run) -> dict[int, float] | None:
    lr = run.state.lr
    if lr.follows_epochs:
        return None
    steps: Sequence[int] = sorted(
        {0, lr.warmup, run.total // 4, run.total // 2, 3 * run.total // 4, run.total - 1}
    )
    return {step: lr.at(step) for step in steps if step < run.total}


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class _First(Split):
    """The first examples of a split."""

    def __init__(self, split: Split, count: int) -> None:
        self._split, self._count = split, count

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._split.__getitems__(indices)
