"""Settings of a training run."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from genmod.errors import UsageError

__all__ = ["NO_OTHER_RUN", "TrainSettings", "same_setting", "usual_settings"]

NO_OTHER_RUN = frozenset(
    [
        "device",
        "workers",
        "deterministic",
        "checkpoint_activations",
        "trackers",
        "checkpoint_every",
        "keep_checkpoints",
        "log_every",
        "film_every",
    ]
)
"""Settings that change no weight except by rounding: where a run is computed, and how it is watched."""

_LEAST = {
    "epochs": 1,
    "steps": 1,
    "batch_size": 1,
    "accumulate": 1,
    "warmup": 0,
    "patience": 0,
    "seed": 0,
    "workers": 0,
    "checkpoint_every": 0,
    "keep_checkpoints": 2,
    "log_every": 1,
    "film_every": 0,
}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of a training run, validated by the constructor.

    Args:
        epochs: passes over the training split; by default at least 10 and enough for 3,000 steps.
        steps: optimizer steps, instead of epochs.
        batch_size: examples in an optimizer step.
        accumulate: parts in which a batch is computed, to save memory; the gradient is their mean.
        lr: highest learning rate.
        optimizer: name of a class in ``torch.optim``, in any spelling: adam, adamw, rmsprop, …
        optimizer_options: its keyword arguments.
        schedule: schedule of the learning rate after the warm-up: constant, cosine, plateau, or any class of
            ``torch.optim.lr_scheduler``, which steps once an epoch.
        schedule_options: its keyword arguments.
        warmup: steps in which the learning rate rises linearly from 0.
        clip: largest norm of the gradient; 0 for no limit.
        skip: norm of the gradient above which a step moves nothing; such steps are counted. 0 for no limit.
        ema: decay of the running mean of the weights that is validated and kept; 0 for none.
        patience: stop after so many epochs without a better validation loss, counted once all schedules have
            come to their end; 0 for never.
        seed: of the order of the data and of all noise.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: of the networks, ``32`` or ``bf16``; densities, divergences, weights and optimizers stay in single
            precision. ``auto`` is ``bf16`` on a GPU that has it, for data of at most 256 values, and else ``32``.
        strategy: how several processes share the work: ``ddp``, each with all weights, or ``fsdp``, each with a
            part of them, for models that do not fit on one device.
        checkpoint_activations: compute activations of networks again in the backward pass instead of keeping them: less
            memory, the time of another forward pass, the same weights.
        compile: compile the step with ``torch.compile``, which takes 10 to 20 seconds at the start of a run, or less where
            torch has kept the result; ``auto`` to do so where the run is long and some steps show that it pays.
        deterministic: use only algorithms of torch that give the same bits each time on the same machine: on a GPU, a step
            then takes longer, up to twice as long, and an operation that has none stops the run.
        augment: transforms of each training image, from ``torchvision.transforms.v2``, such as
            ``random-crop:28,padding=2``.
        freeze: parts that keep their weights, such as ``encoder``.
        trackers: where rows of metrics go beside ``metrics.jsonl``, such as ``csv`` or ``wandb:project=mine``.
        workers: processes that augment, or read data that do not fit in memory.
        checkpoint_every: steps between two checkpoints; one is also written when an epoch ends more than ten
            seconds after the last. 0 for those only.
        keep_checkpoints: how many checkpoints to keep.
        log_every: steps between two rows of metrics; there is also one at the end of each epoch.
        film_every: epochs between two pictures of the progress, in ``samples/film`` of the directory; by default two
            dozen pictures, closer together at the beginning; 0 for none.

    Raises:
        UsageError: invalid values; the message lists all of them.

    Example:
        >>> TrainSettings(epochs=3).run_length(examples=1000)
        (21, 7)
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    accumulate: int = 1
    lr: float = 1e-3
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    warmup: int = 0
    clip: float = 0.0
    skip: float = 0.0
    ema: float = 0.0
    patience: int = 0
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "32", "bf16"] = "auto"
    strategy: Literal["ddp", "fsdp"] = "ddp"
    checkpoint_activations: bool = False
    compile: bool | Literal["auto"] = False
    deterministic: bool = False
    augment: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    trackers: tuple[str, ...] = ()
    workers: int = 0
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    log_every: int = 100
    film_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("augment", "freeze", "trackers"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        wrong = [
            f"{name} is {value!r:.80}; it must be a whole number from {low}"
            for name, low in _LEAST.items()
            if (value := getattr(self, name)) is not None
            and (type(value) is not int or not low <= value < 2**63)
        ]
        if not (_is_number(self.lr) and 0 < self.lr < math.inf):
            wrong.append(f"lr is {self.lr!r:.80}; it must be a number above 0")
        for name in ("clip", "skip"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value < math.inf):
                wrong.append(f"{name} is {value!r:.80}; it must be a number from 0")
        if not (_is_number(self.ema) and 0 <= self.ema < 1):
            wrong.append(f"ema is {self.ema!r:.80}; it must be a number from 0 to below 1, such as 0.999")
        for name, allowed in (("precision", ("auto", "32", "bf16")), ("strategy", ("ddp", "fsdp"))):
            if getattr(self, name) not in allowed:
                wrong.append(f"{name} is {getattr(self, name)!r:.80}; it must be one of {', '.join(allowed)}")
        for name in ("optimizer", "schedule", "device"):
            if not isinstance(getattr(self, name), str):
                wrong.append(f"{name} is {getattr(self, name)!r:.60}; it must be a text, its name")
        for name, other in (("compile", "auto"), ("deterministic", None), ("checkpoint_activations", None)):
            value = getattr(self, name)
            if not isinstance(value, bool) and (other is None or value != other):
                words = "true or false" if other is None else f"true, false or {other}"
                wrong.append(f"{name} is {value!r:.60}; it must be {words}")
        for name in ("augment", "freeze", "trackers"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
                wrong.append(f"{name} is {value!r:.80}; it must be a list of texts")
        for name in ("optimizer_options", "schedule_options"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError) as error:
                wrong.append(
                    f"{name} is {getattr(self, name)!r:.80}; it must be data that JSON can hold: {error}"
                )
        if self.epochs is not None and self.steps is not None:
            wrong.append(f"epochs is {self.epochs} and steps is {self.steps}; give one of them")
        if not wrong and self.batch_size % self.accumulate:
            wrong.append(
                f"accumulate is {self.accumulate}, which does not divide batch_size {self.batch_size}"
            )
        if wrong:
            raise UsageError("invalid settings:\n" + "\n".join(wrong), hint="genmod train --help")

    def run_length(self, examples: int) -> tuple[int, int]:
        """Optimizer steps in the whole run and in an epoch; an epoch has only full batches, and at least one."""
        per_epoch = max(1, examples // self.batch_size)
        if self.steps is not None:
            return self.steps, per_epoch
        return (self.epochs or max(10, math.ceil(3000 / per_epoch))) * per_epoch, per_epoch

    def to_json(self) -> dict[str, Any]:
        """All settings as plain data; tuples become lists."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "TrainSettings":
        """The reverse of :meth:`to_json`.

        Raises:
            UsageError: unknown names or invalid values.
        """
        unknown = sorted(set(plain) - set(cls.names()))
        if unknown:
            raise UsageError(
                f"no such setting: {', '.join(unknown):.200}", hint=f"settings: {', '.join(cls.names())}"
            )
        return cls(**plain)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(each.name for each in fields(cls))


def same_setting(name: str, was: Any, wanted: Any) -> bool:
    """Whether a value of a run is what is wanted; of what is left open the run has chosen one.

    Example:
        >>> same_setting("precision", "bf16", "auto"), same_setting("precision", "bf16", "32")
        (True, False)
    """
    return bool(was == wanted or (name == "precision" and "auto" in (was, wanted)))


def usual_settings() -> dict[str, Any]:
    """The default settings as plain data, with what a run chooses by itself on most devices."""
    return {**TrainSettings().to_json(), "precision": "32"}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
