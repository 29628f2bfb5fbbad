"""Rows of metrics for TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from genmod import Tracker
from genmod.plugins.trackers._by_name import rows_by_name
from genmod.system import own_path

__all__ = ["TensorBoard"]


@final
class TensorBoard(Tracker):
    """Event files in ``tensorboard/`` of the model directory; look at them with ``tensorboard --logdir DIR``.

    Each mean is a scalar ``train/NAME`` or ``validation/NAME`` over the steps. A run that is resumed after a kill
    writes its event files anew, so that no step is there twice.
    """

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = own_path(self.directory, "tensorboard")  # what is behind a link is somebody else's
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(str(folder))  # type: ignore[no-untyped-call]
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name not in ("step", "split") and value is not None:
                self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])  # type: ignore[no-untyped-call]

    def rows(self) -> list[dict[str, Any]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.directory / "tensorboard"), size_guidance={"scalars": 0})
        events.Reload()
        names = events.Tags()["scalars"]
        return rows_by_name(
            (name, e.step, e.wall_time, e.value) for name in names for e in events.Scalars(name)
        )

    def flush(self) -> None:
        self._writer.flush()  # type: ignore[no-untyped-call]

    def close(self, status: str) -> None:
        self._writer.close()  # type: ignore[no-untyped-call]
