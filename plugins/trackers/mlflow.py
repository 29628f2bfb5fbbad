"""Rows of metrics for MLflow."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, final

from genmod import Doc, Tracker
from genmod.plugins.trackers._by_name import rows_by_name
from genmod.system import own_path

__all__ = ["MLflow"]

_AT_ONCE = 1000
_PARAMETER_BYTES = 500
_BESIDE = ("", "-journal", "-shm", "-wal")
"""Ends of the names of the files that SQLite writes for a database."""


@final
class MLflow(Tracker):
    """A run in ``mlflow.db`` of the model directory; look at it with ``mlflow ui --backend-store-uri sqlite:///…``.

    Each mean is a metric ``train/NAME`` or ``validation/NAME`` over the steps. A run that is resumed after a kill
    becomes a new run with all rows, and the one before is deleted, so that no step is there twice.
    """

    def __init__(
        self,
        directory: Path,
        run: Mapping[str, Any],
        *,
        uri: Annotated[
            str, Doc("address of a tracking server or database instead; empty for mlflow.db")
        ] = "",
        experiment: Annotated[str, Doc("experiment that the run belongs to")] = "genmod",
    ) -> None:
        super().__init__(directory, run)
        self.uri = uri
        self.experiment = experiment

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._open()
        place = self.directory.resolve()
        found = self._client.get_experiment_by_name(self.experiment)
        where = found.experiment_id if found else self._client.create_experiment(self.experiment)
        for old in self._newest(where):
            if rows or old.info.status == "RUNNING":
                self._client.delete_run(old.info.run_id)
        tags = {"genmod.directory": str(place)}
        self._id = self._client.create_run(where, run_name=place.name, tags=tags).info.run_id
        for name, value in self.run.get("settings", {}).items():
            self._client.log_param(self._id, name, str(value)[:_PARAMETER_BYTES])
        self._log([metric for row in rows for metric in self._metrics(row)])

    def write(self, row: Mapping[str, Any]) -> None:
        self._log(self._metrics(row))

    def rows(self) -> list[dict[str, Any]]:
        self._open()
        found = self._client.get_experiment_by_name(self.experiment)
        return rows_by_name(
            (name, metric.step, metric.timestamp, metric.value)
            for run in (self._newest(found.experiment_id) if found else ())
            for name in run.data.metrics
            for metric in self._client.get_metric_history(run.info.run_id, name)
        )

    def close(self, status: str) -> None:
        ends = {"interrupted": "KILLED", "failed": "FAILED"}
        self._client.set_terminated(self._id, ends.get(status, "FINISHED"))

    def _open(self) -> None:
        from mlflow.tracking import MlflowClient

        place = self.directory.resolve()
        for end in _BESIDE if not self.uri else ():  # SQLite would follow links
            own_path(place, f"mlflow.db{end}")
        self._client = MlflowClient(tracking_uri=self.uri or f"sqlite:///{place / 'mlflow.db'}")

    def _newest(self, experiment: str) -> Sequence[Any]:
        """The newest run of this directory, if there is one."""
        mine = f"tags.\"genmod.directory\" = '{self.directory.resolve()}'"
        newest_first = ["attributes.start_time DESC"]
        found: Sequence[Any] = self._client.search_runs(
            [experiment], mine, max_results=1, order_by=newest_first
        )
        return found

    def _metrics(self, row: Mapping[str, Any]) -> list[Any]:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        return [
            Metric(f"{row['split']}/{name}", value, now, row["step"])
            for name, value in row.items()
            if name not in ("step", "split") and value is not None
        ]

    def _log(self, metrics: Sequence[Any]) -> None:
        for start in range(0, len(metrics), _AT_ONCE):
            self._client.log_batch(self._id, metrics=metrics[start : start + _AT_ONCE])
