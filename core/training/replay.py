"""Replay: repeating the step that gave a non-finite value."""

from pathlib import Path

from torch import Tensor

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Dataset
from genmod.errors import FileError
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import assemble
from genmod.nn.weights import weights_follow
from genmod.options.schedule import Clock
from genmod.system.random import reseed, seed_for, seeded
from genmod.system.shards import StoredTensor
from genmod.system.tensors import check_tensors
from genmod.training.augment import Augmentation
from genmod.training.checkpoint import newest
from genmod.training.freezing import frozen
from genmod.training.nonfinite import first_non_finite
from genmod.training.precision import network_dtype
from genmod.training.settings import TrainSettings

__all__ = ["replay", "trace"]


def trace(
    model: GenerativeModel, x: Tensor, context: Tensor | None, parts: int, *, seed: int, step: int
) -> str:
    """Where a step first gives a non-finite value, computed with the random numbers of that step; empty if nowhere.

    Args:
        model: with the weights before the step.
        x: the stored examples of the batch.
        context: their conditions, for a conditional model.
        parts: number of parts that the batch was split into.
        seed: of the run.
        step: counted from 0.
    """
    contexts = [None] * parts if context is None else context.chunk(parts)
    for part, (mine, given) in enumerate(zip(x.chunk(parts), contexts, strict=True)):
        reseed(seed_for(seed, "noise", step * parts + part))
        where = first_non_finite(model, mine, given)
        if where:
            return where
    return ""


def replay(directory: Path, data: Dataset) -> str:
    """Repeat the step that stopped a run; returns where its non-finite value arose.

    Args:
        directory: model directory.
        data: the dataset that the model was trained on.

    Raises:
        FileError: no such step was saved, or its files are damaged.
    """
    place = ModelDirectory(directory)
    kept, passed_over = newest(place.stopped_step)
    if kept is None:
        raise FileError(
            f"{directory} holds no step with a non-finite value" + "".join(f"\n{why}" for why in passed_over)
        )
    stored = kept.tensors.get("model", {})
    weights = {name: t.whole() if isinstance(t, StoredTensor) else t for name, t in stored.items()}
    with weights_follow():
        model = assemble(
            *place.read_spec(),
            check=lambda planned: check_tensors(place.stopped_step, weights, planned.state_dict()),
        )
    model.load_state_dict(weights)
    try:
        settings = TrainSettings.from_json(kept.state["facts"]["settings"])
        indices, per_epoch, total = kept.state["indices"], kept.state["per_epoch"], kept.state["total"]
    except KeyError as error:
        raise FileError(
            f"the training state in {place.stopped_step} is damaged: {error} is missing"
        ) from None
    for _, schedule in model.schedules():
        schedule.advance(Clock(kept.step, per_epoch, total))
    batch = model.suited(data).split("train").varied(indices, seed=settings.seed, step=kept.step)
    x, context = batch.x, model.context(batch)
    with seeded(0):
        if settings.augment:
            x = Augmentation(settings.augment, data.info, settings.seed)(x, indices, kept.step)
    parts = settings.accumulate if len(x) % settings.accumulate == 0 else 1
    model.autocast_dtype = network_dtype(settings)
    model.train()
    with seeded(0), frozen(model, settings.freeze):
        where = trace(model, x, context, parts, seed=settings.seed, step=kept.step)
    return f"step {kept.step + 1}: {where or 'all values are finite this time'}"
