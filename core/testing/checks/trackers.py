"""Laws for trackers: rows of runs that end, or are killed and resumed, in a folder of their own."""

import gc
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genmod.defaults import RECIPE
from genmod.interfaces.tracker import Tracker
from genmod.options.schema import validate
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect

__all__: list[str] = []

_RUN: Mapping[str, Any] = {"model": {"recipe": RECIPE, "latent": [2]}, "settings": {"steps": 4}}
_ROWS: tuple[Mapping[str, Any], ...] = (
    {"step": 1, "epoch": 0.25, "split": "train", "loss": 3.5},
    {"step": 2, "epoch": 0.5, "split": "train", "loss": None},
    {"step": 2, "epoch": 0.5, "split": "validation", "loss": 3.25, "elbo": -3.25},
    {"step": 4, "epoch": 1.0, "split": "train", "loss": 1e-30, "grad norm": 1e30},
)


def _make(case: Case, directory: Path) -> Tracker:
    tracker: Tracker = case.cls(directory, _RUN, **validate(case.cls, case.options, case.kind))
    return tracker


def _run(
    case: Case,
    directory: Path,
    before: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    end: str,
) -> dict[str, str]:
    """Track some rows; the digest of each file that is there afterwards."""
    tracker = _make(case, directory)
    tracker.begin(before)
    for row in rows:
        tracker.write(row)
    tracker.flush()
    if end:
        tracker.close(end)
    else:
        # A killed process leaves its files open; Python warns of that where it collects them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del tracker
            gc.collect()
    return {
        file.relative_to(directory).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file()
    }


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


@check_for("tracker", remedy="in begin(rows), replace whatever there is of this run by exactly these rows")
def check_tracker_resume(case: Case) -> None:
    """A run that was killed and resumed leaves the same files as an uninterrupted one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        contents = []
        for _ in range(2):
            place.mkdir()
            contents.append(_run(case, place, (), _ROWS, "finished"))
            shutil.rmtree(place)
        if contents[0] != contents[1]:
            raise NotApplicable("its files differ from run to run")
        if not contents[0]:
            raise NotApplicable("it writes no files")
        place.mkdir()
        _run(case, place, (), _ROWS[:3], "")  # killed after the checkpoint at step 1
        resumed = _run(case, place, _ROWS[:1], _ROWS[1:], "finished")
    different = [name for name in {*resumed, *contents[0]} if resumed.get(name) != contents[0].get(name)]
    expect(not different, f"after a kill at step 2 and a resume from step 1, {', '.join(different)} differs")


@check_for("tracker", remedy="write below the directory that you are given")
def check_tracker_place(case: Case) -> None:
    """It writes below the model directory alone."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        place.mkdir()
        _run(case, place, (), _ROWS, "finished")
        others = [each.name for each in Path(folder).iterdir() if each != place]
    expect(not others, f"it wrote {', '.join(others)} beside the model directory")
