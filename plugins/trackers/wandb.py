"""Rows of metrics for Weights & Biases."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, final

from genmod import Doc, Tracker
from genmod.system import offline, own_path

__all__ = ["WandB"]


@final
class WandB(Tracker):
    """A run in ``wandb/`` of the model directory, offline unless ``mode=online``; ``wandb sync`` uploads it.

    Each mean is ``train/NAME`` or ``validation/NAME`` over the steps. A run that is resumed after a kill writes its
    offline run anew, so that no step is there twice. Online nothing can be deleted: a resumed run is a new run of the
    same group with all rows, and the one before stays as it was.
    """

    def __init__(
        self,
        directory: Path,
        run: Mapping[str, Any],
        *,
        project: Annotated[str, Doc("project that the run belongs to")] = "genmod",
        mode: Annotated[
            Literal["offline", "online"],
            Doc("online sends each row to the server, unless --offline is given"),
        ] = "offline",
    ) -> None:
        super().__init__(directory, run)
        self.project = project
        self.mode = mode

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import wandb

        # What is behind a link is somebody else's.
        for old in own_path(self.directory, "wandb").glob("offline-run-*"):
            shutil.rmtree(old)
        name = self.directory.resolve().name
        self._run = wandb.init(
            project=self.project,
            name=name,
            group=name,
            dir=str(self.directory),
            mode="offline" if offline() else self.mode,
            config=dict(self.run),
            # It would run git in the current folder, and git what the repository there names.
            settings=wandb.Settings(console="off", silent=True, disable_git=True),
        )
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        values = {
            f"{row['split']}/{name}": value
            for name, value in row.items()
            if name not in ("step", "split") and value is not None
        }
        self._run.log(values, step=row["step"])

    def close(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=int(status == "failed"))
