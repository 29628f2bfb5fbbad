"""Faults: trackers."""

import json
import sqlite3
import time
from contextlib import closing

from genmod import Tracker
from genmod.scaffold.templates.tracker import TemplateTracker
from planted import caught_by

REST = ("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")


@caught_by("check_tracking", "check_tracker_leaves", "check_tracker_place", *REST)
class FormatsEveryNumber(TemplateTracker):
    def write(self, row):
        super().write({name: f"{value:.3g}" for name, value in row.items() if name != "split"})


@caught_by("check_tracker_resume", "check_tracker_rows", "check_tracker_flush")
class Appends(TemplateTracker):
    def begin(self, rows):
        self._path = self.directory / "metrics.txt"


@caught_by("check_tracker_place")
class WritesElsewhere(TemplateTracker):
    def begin(self, rows):
        super().begin(rows)
        (self.directory.parent / "latest.txt").write_text("here")


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class DropsValidation(TemplateTracker):
    def write(self, row):
        if row["split"] == "train":
            super().write(row)


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class SwapsValues(TemplateTracker):
    def write(self, row):
        names = [name for name in row if name not in ("step", "epoch", "split")]
        super().write({**row, **dict(zip(names, [row[name] for name in reversed(names)], strict=True))})


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class KeepsTheFirstColumns(TemplateTracker):
    """The columns of the first row are those of the table."""

    def write(self, row):
        super().write({name: row[name] for name in ("step", "epoch", "split", "loss") if name in row})


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class KeepsOneRowOfEachStep(TemplateTracker):
    def write(self, row):
        lines = self._path.read_text().splitlines(keepends=True)
        self._path.write_text("".join(line for line in lines if not line.startswith(f"step={row['step']}\t")))
        super().write(row)


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class RoundsToThreeDigits(TemplateTracker):
    def write(self, row):
        super().write(
            {n: float(f"{value:.3g}") if isinstance(value, float) else value for n, value in row.items()}
        )


@caught_by("check_tracker_rows")
class TakesAHundredRowsOfARun(TemplateTracker):
    def begin(self, rows):
        super().begin(rows[:100])


@caught_by("check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class NewestFirst(TemplateTracker):
    def begin(self, rows):
        super().begin(rows[::-1])

    def rows(self):
        return super().rows()[::-1]


@caught_by("check_tracker_leaves", "check_tracker_rows", "check_tracker_flush", "check_tracker_resume")
class TakesTheStepOut(TemplateTracker):
    def write(self, row):
        step = row.pop("step")
        super().write({"step": step, **row})


@caught_by("check_tracker_leaves")
class NamesTheRun(TemplateTracker):
    def __init__(self, directory, run):
        super().__init__(directory, run)
        run["name"] = directory.name


class _Buffered(TemplateTracker):
    """Rows wait in memory until the end."""

    def begin(self, rows):
        super().begin(rows)
        self.waiting = []

    def write(self, row):
        self.waiting.append(row)

    def close(self, status):
        while self.waiting:
            super().write(self.waiting.pop(0))


@caught_by("check_tracker_flush", "check_tracker_resume")
class WritesAtTheEnd(_Buffered):
    pass


@caught_by("check_tracker_flush")
class WritesWhenItIsCollected(_Buffered):
    """A buffer that a kill loses and a flush does not write; UsageError."""

    def __del__(self):
        if hasattr(self, "waiting") and self.directory.exists():
            self.close("")


class _Sqlite(Tracker):
    """Rows in a database, each with the time at which it was written."""

    def begin(self, rows):
        self.database = sqlite3.connect(self.directory / "metrics.db")
        self.database.execute("create table if not exists metrics (at real, row)")
        self.clear()
        for row in rows:
            self.write(row)
        self.database.commit()

    def clear(self):
        self.database.execute("delete from metrics")

    def write(self, row):
        self.database.execute("insert into metrics values (?, ?)", [time.time(), json.dumps(row)])

    def flush(self):
        self.database.commit()

    def close(self, status):
        self.database.commit()
        self.database.close()

    def rows(self):
        with closing(sqlite3.connect(self.directory / "metrics.db")) as database:
            return [json.loads(row) for (row,) in database.execute("select row from metrics order by rowid")]


@caught_by("check_tracker_resume", "check_tracker_rows", "check_tracker_flush")
class KeepsRowsOfBefore(_Sqlite):
    """Rows of the run that was killed stay beside those of the resumed one; UsageError."""

    def clear(self):
        pass


@caught_by("check_tracker_flush", "check_tracker_rows", "check_tracker_resume")
class RollsBack(_Sqlite):
    """What ends with rollback in the place of commit; UsageError."""

    def flush(self):
        pass

    def close(self, status):
        self.database.rollback()
        self.database.close()


@caught_by("check_tracker_flush", "check_tracker_resume")
class CommitsAtTheEnd(_Sqlite):
    def flush(self):
        pass


@caught_by("check_tracker_rows")
class StoresNoValue(Tracker):
    """Steps alone, in a file that nobody can read back; UsageError."""

    def begin(self, rows):
        self.path = self.directory / "steps.txt"
        self.path.write_text("".join(f"{row['step']}\n" for row in rows))

    def write(self, row):
        with self.path.open("a") as file:
            file.write(f"{row['step']}\n")
