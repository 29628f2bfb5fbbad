"""Laws for trackers: rows of runs that end, or are killed and resumed, in a folder of their own."""

import copy
import gc
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genmod.defaults import RECIPE
from genmod.interfaces.tracker import Tracker
from genmod.options.schema import validate
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
from genmod.testing.checks.rows import Row, expect_rows

__all__: list[str] = []

_RUN: Mapping[str, Any] = {"model": {"recipe": RECIPE, "latent": [2]}, "settings": {"steps": 6}}
_ROWS: tuple[Row, ...] = (
    {"step": 1, "epoch": 0.25, "split": "train", "loss": 3.5123456},
    {"step": 2, "epoch": 0.5, "split": "train", "loss": None},
    {"step": 2, "epoch": 0.5, "split": "validation", "loss": 3.25, "elbo": -3.75},
    {"step": 4, "epoch": 1.0, "split": "train", "loss": 1e-30, "grad norm": 1e30},
    {"step": 6, "epoch": 1.5, "split": "train", "loss": 2.625, "grad norm": 0.5},
    {"step": 6, "epoch": 1.5, "split": "validation", "loss": 2.75, "elbo": -2.5},
)
_LATER = 120
"""Rows of a long run before it is resumed: stores that write in portions have more than one."""

_NO_ROWS = "it cannot be read back: define rows(), which returns what is stored"


def _make(case: Case, directory: Path) -> Tracker:
    run = copy.deepcopy(dict(_RUN))
    tracker: Tracker = case.cls(directory, run, **validate(case.cls, case.options, case.kind))
    return tracker


@contextmanager
def _killed() -> Iterator[None]:
    """Inside, the last reference to a tracker goes: its process ends without a word."""
    # A killed process leaves its files open, of which Python warns, and loses its locks: connections are in cycles.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def _run(case: Case, directory: Path, before: Sequence[Row], rows: Sequence[Row], end: str) -> None:
    """Track some rows; a run without an end is killed after them."""
    tracker = _make(case, directory)
    # Copies: what a tracker does to rows is another law.
    tracker.begin([dict(row) for row in before])
    for row in rows:
        tracker.write(dict(row))
    tracker.flush()
    if end:
        tracker.close(end)
    else:
        with _killed():
            del tracker


def _digests(directory: Path) -> dict[str, str]:
    """The digest of each file."""
    return {
        file.relative_to(directory).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file()
    }


def _readable(case: Case) -> bool:
    """Whether it can be asked for its rows; a tracker of an older package may use the name for a list."""
    return case.cls.rows is not Tracker.rows and callable(case.cls.rows)


def _stored(case: Case, directory: Path) -> Sequence[Row]:
    """The rows that a new tracker finds in the directory.

    Raises:
        NotApplicable: they cannot be read back.
    """
    rows = _make(case, directory).rows() if _readable(case) else None
    if rows is None:
        raise NotApplicable(_NO_ROWS)
    return [dict(row) for row in rows]


def _digests_of(case: Case, place: Path, rows: Sequence[Row]) -> dict[str, str]:
    """The digest of each file after a run with these rows in a new folder of that name."""
    place.mkdir()
    _run(case, place, (), rows, "finished")
    found = _digests(place)
    shutil.rmtree(place)
    return found


@check_for(
    "tracker", remedy="take rows with other names than before, None among the values, and runs of no rows"
)
def check_tracking(case: Case) -> None:
    """It takes a new run, a resumed run, rows with new names, and every end of a run."""
    with tempfile.TemporaryDirectory() as folder:
        for end in ("finished", "stopped early", "interrupted", "failed"):
            _run(case, Path(folder), (), _ROWS, end)
            _run(case, Path(folder), _ROWS[:2], _ROWS[2:], end)
            _run(case, Path(folder), (), (), end)


@check_for(
    "tracker",
    remedy="store every row whole, each value under its own name, and let rows() read them back in order",
)
def check_tracker_rows(case: Case) -> None:
    """What is stored are the rows that were written, all values of them, in their order; of the last run alone."""
    long = [
        {"step": step, "epoch": step / 4, "split": "train", "loss": 5 - step / 100}
        for step in range(1, _LATER + 1)
    ]
    last = {"step": _LATER + 1, "epoch": 31.0, "split": "validation", "loss": 4.5}
    with tempfile.TemporaryDirectory() as folder:
        if not _readable(case):
            _check_bytes(case, Path(folder))
            return
        _run(case, Path(folder), (), _ROWS, "finished")
        expect_rows(_stored(case, Path(folder)), _ROWS, "after a run")
        _run(case, Path(folder), long, [last], "finished")
        expect_rows(_stored(case, Path(folder)), [*long, last], f"after a run resumed from {_LATER} rows")
        _run(case, Path(folder), (), _ROWS[:2], "interrupted")
        expect_rows(_stored(case, Path(folder)), _ROWS[:2], "after another, new run in the same directory")


def _check_bytes(case: Case, folder: Path) -> None:
    """Without rows(), that every value leaves its mark in the files.

    Raises:
        NotApplicable: they differ from run to run.
    """
    whole = _digests_of(case, folder / "run", _ROWS)
    if not whole or whole != _digests_of(case, folder / "run", _ROWS):
        raise NotApplicable(_NO_ROWS)
    for place, row in enumerate(_ROWS):
        names = [name for name, value in row.items() if type(value) is float]
        for name in names:
            other = [*_ROWS]
            other[place] = {**row, name: row[name] * 3 + 1}
            same = _digests_of(case, folder / "run", other) == whole
            expect(
                not same,
                f"its files are the same for every value of {name!r} in row {place + 1}, {dict(row)}",
            )


@check_for(
    "tracker",
    remedy="in flush(), and before it ends, commit what was written: nothing is rolled back by a kill",
)
def check_tracker_flush(case: Case) -> None:
    """Rows that were flushed are there for other processes, and stay there when the run is killed."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = _make(case, Path(folder))
        tracker.begin(())
        for row in _ROWS[:4]:
            tracker.write(dict(row))
        tracker.flush()
        try:
            found = [_stored(case, Path(folder))]
        except NotApplicable:
            raise
        except Exception:  # a store may be locked as long as its process lives
            found = []
        with _killed():
            del tracker
        for rows in found:
            expect_rows(rows, _ROWS[:4], "read by another process after flush()")
        expect_rows(_stored(case, Path(folder)), _ROWS[:4], "after flush() and a kill")


@check_for("tracker", remedy="in begin(rows), replace whatever there is of this run by exactly these rows")
def check_tracker_resume(case: Case) -> None:
    """A run that was killed and resumed leaves the same rows as an uninterrupted one, each once."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        whole = {} if _readable(case) else _whole(case, place)
        place.mkdir()
        _run(case, place, (), _ROWS[:3], "")  # killed after the checkpoint at step 1
        _run(case, place, _ROWS[:1], _ROWS[1:], "finished")
        if not whole:
            expect_rows(_stored(case, place), _ROWS, "after a kill at step 2 and a resume from step 1")
        resumed = _digests(place)
    different = [name for name in {*resumed, *whole} if resumed.get(name) != whole.get(name)]
    expect(
        not whole or not different,
        f"after a kill at step 2 and a resume from step 1, {', '.join(different)} differs",
    )


def _whole(case: Case, place: Path) -> dict[str, str]:
    """The digests of a whole run, of a tracker without rows().

    Raises:
        NotApplicable: they differ from run to run, or there are none.
    """
    whole = _digests_of(case, place, _ROWS)
    if whole != _digests_of(case, place, _ROWS):
        raise NotApplicable(f"its files differ from run to run, and {_NO_ROWS}")
    if not whole:
        raise NotApplicable(f"it writes no files, and {_NO_ROWS}")
    return whole


@check_for("tracker", remedy="copy a row before you change it: dict(row)")
def check_tracker_leaves(case: Case) -> None:
    """The rows that it is given, which other trackers get too, and what it knows of the run do not change."""
    rows, run = copy.deepcopy(list(_ROWS)), copy.deepcopy(dict(_RUN))
    with tempfile.TemporaryDirectory() as folder:
        tracker: Tracker = case.cls(Path(folder), run, **validate(case.cls, case.options, case.kind))
        tracker.begin(rows[:2])
        for row in rows[2:]:
            tracker.write(row)
        tracker.flush()
        tracker.close("finished")
    expect(len(rows) == len(_ROWS), f"of {len(_ROWS)} rows that it was given, {len(rows)} are left")
    for given, left in zip(_ROWS, rows, strict=True):
        expect(
            list(left.items()) == list(given.items()), f"it was given {dict(given)} and made it {dict(left)}"
        )
    expect(run == _RUN, f"it was given the run {dict(_RUN)} and made it {run}")


@check_for("tracker", remedy="write below the directory that you are given")
def check_tracker_place(case: Case) -> None:
    """It writes below the model directory alone."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        place.mkdir()
        _run(case, place, (), _ROWS, "finished")
        others = [each.name for each in Path(folder).iterdir() if each != place]
    expect(not others, f"it wrote {', '.join(others)} beside the model directory")
