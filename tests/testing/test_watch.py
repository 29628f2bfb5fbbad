"""Checks that run again after each save."""

import itertools
import sys
from pathlib import Path

import pytest

from genmod.cli.app import run
from genmod.errors import UsageError
from genmod.testing.forks import can_fork
from genmod.testing.watch import files_below, watch

FILE = """
import time
from pathlib import Path
import torch
from genmod import Batch, Component, DataInfo, Dataset, TensorSplit, hookimpl

class Numbers(Dataset):
    '''Whole numbers in a row; nothing is read.'''

    @property
    def info(self):
        return DataInfo((1,), low=0.0, high=60.0)

    def split(self, name):
        {first}
        place = ("train", "validation", "test").index(name)
        return TensorSplit(Batch(torch.arange(60)[{part}, None].float()))

@hookimpl
def genmod_components():
    yield Component("dataset", "numbers", "{module}:Numbers", summary="whole numbers")
"""
needs_fork = pytest.mark.skipif(not can_fork(), reason="this system copies no processes")


@pytest.fixture
def save(tmp_path):
    """A function that saves the file of a plugin: right, or wrong in some way."""
    module = f"watched_{tmp_path.name.replace('-', '_')}"
    counter = itertools.count()

    def write(part="place::3", first="pass"):
        file = tmp_path / f"{module}.py"
        text = FILE.format(first=first, part=part, module=module)
        file.write_text(text + "#" * next(counter))  # of another size, whatever the clock says
        return file

    return write


@pytest.fixture
def watching():
    """A function that watches a file; it is no longer watched when the test ends."""
    begun = []

    def begin(*targets):
        begun.append(watch([str(target) for target in targets], poll=0.05))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


def one_round(events):
    """The events until all checks have run."""
    found = []
    for event in events:
        found.append(event)
        if event["event"] in ("end", "error"):
            return found


@needs_fork
def test_it_checks_again_after_each_save(save, watching):
    file = save()
    events = watching(file)
    first = one_round(events)
    assert first[0]["components"] == ["dataset/numbers"]
    assert first[0]["roots"] == [str(file)]
    outcomes = [event for event in first if event["event"] == "outcome"]
    assert not [event for event in outcomes if event["status"] == "failed"]
    save(part="place:")
    second = [event for event in one_round(events) if event["event"] == "outcome"]
    failed = [event["check"] for event in second if event["status"] == "failed"]
    assert "check_splits" in failed
    assert second[0]["check"] not in failed
    assert [event["check"] for event in second] != [event["check"] for event in outcomes]
    save()
    third = [event for event in one_round(events) if event["event"] == "outcome"]
    assert [event["check"] for event in third[: len(failed)]] == failed
    assert not [event for event in third if event["status"] == "failed"]
    # The module was never imported here, so that each copy reads it anew.
    assert file.stem not in sys.modules


@needs_fork
def test_a_file_that_cannot_be_read_is_watched_on(save, watching):
    file = save(first="return (")
    events = watching(file)
    [error] = one_round(events)
    assert "SyntaxError" in error["message"]
    save()
    assert one_round(events)[-1]["event"] == "end"


@needs_fork
def test_a_save_while_checks_run_begins_anew(save, watching):
    events = watching(save(first="time.sleep(100)"))
    assert next(events)["event"] == "begin"
    save()
    rest = one_round(events)
    assert [event["event"] for event in rest].count("begin") == 1
    assert rest[-1]["event"] == "end"


@needs_fork
def test_a_process_that_dies_is_told(save, watching):
    events = watching(save(first="import os; os._exit(1)"))
    assert one_round(events)[-1] == {
        "event": "error",
        "message": "the process that checks ended",
        "hint": "",
        "roots": [],
    }
    save()
    assert one_round(events)[-1]["event"] == "end"


@needs_fork
def test_a_target_that_there_is_not(watching, monkeypatch):
    monkeypatch.setattr("genmod.testing.watch.find_plugins", list)
    events = watching("encoder/not-there")
    assert "not-there" in next(events)["message"]
    with pytest.raises(UsageError, match="can be watched"):
        next(events)


def test_files_below(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.py").write_text("1")
    (tmp_path / "a" / "d.txt").write_text("1")
    assert [Path(each).name for each in files_below([tmp_path / "a", tmp_path / "gone.py"])] == ["c.py"]


@pytest.mark.parametrize("other", ["--json", "--mutate"])
def test_it_goes_with_nothing_that_ends(other):
    with pytest.raises(UsageError, match=other):
        run(["check", "prior/normal", "--watch", other])


def test_without_copies_each_check_is_a_new_process(monkeypatch, capsys):
    def once(words, check):
        started.append(words)
        raise KeyboardInterrupt

    started = []
    monkeypatch.setattr("genmod.testing.forks.can_fork", lambda: False)
    monkeypatch.setattr("genmod.cli.watch.subprocess.run", once)
    monkeypatch.setattr("sys.argv", ["genmod", "check", "./mine.py", "--watch", "--slow"])
    assert run(["check", "./mine.py", "--watch", "--slow"]) == 0
    assert started == [[sys.executable, "-P", "-m", "genmod", "check", "./mine.py", "--slow"]]
    assert "cannot copy processes" in " ".join(capsys.readouterr().err.split())
