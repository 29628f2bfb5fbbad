"""Events of a run, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genmod.system.html import html_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Event", "TrainResult"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Args:
        kind: ``progress`` a few times a second, ``train`` and ``validation`` with new values, ``checkpoint``,
            ``resume``, ``warning`` with a text, ``end``.
        step: optimizer steps done.
        total_steps: of the whole run.
        epoch: passes over the data, with a fraction.
        values: named means over examples, nats; with ``progress`` those of this process since its last ``train``.
        best: whether this is the lowest validation loss so far.
        text: message of a warning.
    """

    kind: str
    step: int
    total_steps: int
    epoch: float
    values: Mapping[str, float] = field(default_factory=dict)
    best: bool = False
    text: str = ""


@dataclass(frozen=True)
class TrainResult:
    """The result of a run.

    Args:
        status: ``finished`` or ``stopped early``.
        steps: optimizer steps done.
        seconds: wall time, summed over interruptions.
        best_step: step with the lowest validation loss; the model has the weights of this step.
        best_loss: that loss, nats.
        rows: all rows of metrics.
    """

    status: str
    steps: int
    seconds: float
    best_step: int
    best_loss: float
    rows: tuple[Mapping[str, Any], ...]

    def plot(
        self, metrics: Sequence[str] = (), *, smooth: int = 1, log: bool = False, x: str = "step"
    ) -> "Figure":
        """The curves of the run, as :func:`genmod.figures.curves.curves` draws those of directories.

        Args:
            metrics: names, a panel each; by default loss, rate and distortion where there are rows of them.
            smooth: number of rows of training averaged in each value.
            log: logarithmic in the values, in the panels where all of them are positive.
            x: ``step`` or ``epoch``.

        Raises:
            UsageError: the run has no such metric.
        """
        from genmod.figures.curves import curves_of, draw, drawn_once

        found = curves_of({"run": self.rows}, metrics, smooth=smooth)
        return draw(found if metrics else drawn_once(found), log=log, x=x)

    def _repr_html_(self) -> str:
        rows = []
        for split in ("train", "validation"):
            last = next((row for row in reversed(self.rows) if row.get("split") == split), None)
            if last is not None:
                values = ", ".join(
                    f"{name} {value:.4g}"
                    for name, value in last.items()
                    if name not in ("step", "epoch", "split") and isinstance(value, int | float)
                )
                rows.append((f"last of {split}", f"step {last['step']}: {values}"))
        rows.append(("best validation loss", f"{self.best_loss:.4g} at step {self.best_step}"))
        caption = f"{self.status} after {self.steps:,} steps, {self.seconds:.1f} s"
        return html_table(("what", "values"), rows, caption)
