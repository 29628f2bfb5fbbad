"""Right trackers: databases, histories by name, stores with times, and those that cannot be read back."""

import array
import gzip
import json
import sqlite3
import time
import uuid
from contextlib import closing

from correct import right
from genmod import Tracker

_SERVER = {}


@right(always=True)
class TimedDatabase(Tracker):
    """Rows in SQLite, with the time, and a journal that differs from run to run."""

    def begin(self, rows):
        self.database = sqlite3.connect(self.directory / "metrics.db")
        self.database.execute("pragma journal_mode = wal")
        self.database.execute("create table if not exists rows (at real, run, row)")
        self.database.execute("delete from rows")
        for row in rows:
            self.write(row)
        self.database.commit()

    def write(self, row):
        self.database.execute(
            "insert into rows values (?, ?, ?)", [time.time(), uuid.uuid4().hex, json.dumps(row)]
        )

    def flush(self):
        self.database.commit()

    def close(self, status):
        self.database.commit()
        self.database.close()

    def rows(self):
        with closing(sqlite3.connect(self.directory / "metrics.db", timeout=0)) as database:
            return [json.loads(row) for (row,) in database.execute("select row from rows order by rowid")]


@right()
class LockedDatabase(TimedDatabase):
    """A database that nobody else can open while the run goes on."""

    def begin(self, rows):
        self.database = sqlite3.connect(self.directory / "metrics.db", timeout=0)
        self.database.execute("pragma locking_mode = exclusive")
        self.database.execute("create table if not exists rows (at real, run, row)")
        self.database.execute("delete from rows")
        for row in rows:
            self.write(row)
        self.database.commit()


@right()
class SinglePrecision(Tracker):
    """A file of single-precision numbers for each name; values that are None are left out."""

    def begin(self, rows):
        for old in self.directory.glob("*.f32"):
            old.unlink()
        for row in rows:
            self.write(row)

    def write(self, row):
        for name, value in row.items():
            if name not in ("step", "split") and value is not None:
                with (self.directory / f"{row['split']} {name}.f32").open("ab") as file:
                    array.array("f", [row["step"], value]).tofile(file)

    def rows(self):
        found = {}
        for path in sorted(self.directory.glob("*.f32")):
            split, name = path.stem.split(" ", 1)
            numbers = array.array("f", path.read_bytes())
            for step, value in zip(numbers[::2], numbers[1::2], strict=True):
                found.setdefault((int(step), split), {"step": int(step), "split": split})[name] = value
        return [found[place] for place in sorted(found)]


@right()
class NewFileForEachRun(Tracker):
    """The newest of many files is that of the run; those of runs before are kept."""

    def begin(self, rows):
        number = len(list(self.directory.glob("run-*.json")))
        self.path, self.kept = self.directory / f"run-{number:04}.json", list(rows)
        self.flush()

    def write(self, row):
        self.kept.append(row)

    def flush(self):
        self.path.write_text(json.dumps({"written": time.time(), "rows": self.kept}))

    def close(self, status):
        self.flush()

    def rows(self):
        return json.loads(max(self.directory.glob("run-*.json")).read_text())["rows"]


@right()
class CompressedLog(Tracker):
    """An append-only log in pieces, in which a new start is an entry of its own."""

    def begin(self, rows):
        self._add({"start": time.time()})
        for row in rows:
            self.write(row)

    def write(self, row):
        self._add(row)

    def _add(self, entry):
        with gzip.open(self.directory / "log.gz", "at") as file:
            file.write(json.dumps(entry) + "\n")

    def rows(self):
        found = []
        with gzip.open(self.directory / "log.gz", "rt") as file:
            for entry in map(json.loads, file):
                found = [] if "start" in entry else [*found, entry]
        return found


@right()
class CannotBeReadBack(Tracker):
    """Pictures of numbers; what was drawn is no row any more."""

    def begin(self, rows):
        self.kept = list(rows)

    def write(self, row):
        self.kept.append(row)

    def flush(self):
        bars = [f"{'#' * int(min(row['loss'] or 0, 20))} {uuid.uuid4()}" for row in self.kept]
        (self.directory / "bars.txt").write_text("\n".join(bars))


@right()
class OlderThanRows(Tracker):
    """A package of before there was rows(), which has a list of that name; UsageError."""

    def begin(self, rows):
        self.rows = list(rows)
        self._save()

    def write(self, row):
        self.rows.append(row)
        self._save()

    def _save(self):
        (self.directory / "metrics.json").write_text(json.dumps(self.rows))


@right()
class Elsewhere(Tracker):
    """Rows that go to a server, here a place in memory, by the directory of the model; UsageError."""

    def begin(self, rows):
        _SERVER[str(self.directory)] = [dict(row) for row in rows]

    def write(self, row):
        _SERVER[str(self.directory)].append(dict(row))

    def rows(self):
        return _SERVER.get(str(self.directory), [])
