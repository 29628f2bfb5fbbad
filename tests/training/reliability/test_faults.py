"""Writing that fails at any point leaves the checkpoint before, and says why."""

import errno
import os
import pathlib
import resource
from contextlib import suppress

import pytest
import torch

from genmod.errors import FileError
from genmod.system.files import alone_in, staged_directory, write_bytes
from genmod.training.checkpoint import Checkpoint, newest, save_checkpoint

ERRORS = {"write": errno.ENOSPC, "fsync": errno.EIO, "rename": errno.EACCES, "mkdir": errno.EDQUOT}


def checkpoint(step):
    tensors = {"model": {"w": torch.full((3,), float(step))}, "optimizer": {"w/step": torch.tensor(1.0)}}
    return Checkpoint(step, tensors, {"run": {"seconds": 1.5}})


def hidden(directory):
    return [path.name for path in directory.rglob(".*")]


def attempt(act):
    """The error that it ended with, if it did."""
    try:
        act()
    except FileError as error:
        return error


class Faults:
    """Counts what a process asks of its disk, and lets the k-th fail."""

    def __init__(self, monkeypatch):
        self.count, self.failing, self.error, self.failed = 0, 0, None, ""
        opened = pathlib.Path.open

        def counting(kind, function):
            def wrapped(path, *arguments, **options):
                if kind != "mkdir" or not os.path.isdir(path):
                    self.tick(kind)
                return function(path, *arguments, **options)

            return wrapped

        def open_(path, mode="r", *arguments, **options):
            stream = opened(path, mode, *arguments, **options)
            return Stream(stream, self) if "x" in mode else stream

        monkeypatch.setattr(pathlib.Path, "open", open_)
        monkeypatch.setattr(os, "fsync", counting("fsync", os.fsync))
        monkeypatch.setattr(os, "mkdir", counting("mkdir", os.mkdir))
        for name in ("rename", "replace"):
            monkeypatch.setattr(pathlib.Path, name, counting("rename", getattr(pathlib.Path, name)))

    def tick(self, kind):
        self.count += 1
        if self.count == self.failing:
            self.failed = kind
            raise self.error or OSError(ERRORS[kind], os.strerror(ERRORS[kind]))

    def at(self, k, error=None):
        self.count, self.failing, self.error, self.failed = 0, k, error, ""


class Stream:
    def __init__(self, stream, faults):
        self._stream, self._faults = stream, faults

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        self._stream.close()

    def write(self, content):
        half = self._stream.write(content[: len(content) // 2])
        self._faults.tick("write")
        return half + self._stream.write(content[half:])

    def __getattr__(self, name):
        return getattr(self._stream, name)


@pytest.fixture
def faults(monkeypatch):
    return Faults(monkeypatch)


def test_a_fault_at_every_write_fsync_rename_and_mkdir(faults, tmp_path):
    kinds = set()
    for k in range(1, 1000):
        place = tmp_path / str(k)
        faults.at(0)
        save_checkpoint(place, checkpoint(2))
        save_checkpoint(place, checkpoint(4))
        faults.at(k)
        error = attempt(lambda place=place: save_checkpoint(place, checkpoint(6)))
        if not faults.failed:
            break
        assert str(tmp_path) in error.message
        assert os.strerror(ERRORS[faults.failed]) in error.message
        kinds.add(faults.failed)
        found, passed_over = newest(place)
        # What fails once the rename is done, fails in making it last or in removing old ones.
        assert (found.step, passed_over) in [(4, []), (6, [])]
        assert float(found.tensors["model"]["w"][0]) == found.step
        faults.at(0)
        save_checkpoint(place, checkpoint(8))
        assert newest(place)[0].step == 8
        assert hidden(place) == []
        assert len(list(place.iterdir())) == 2
    assert kinds == set(ERRORS)
    assert k > 20


def test_ctrl_c_at_every_write_fsync_rename_and_mkdir(faults, tmp_path):
    save_checkpoint(tmp_path, checkpoint(2))
    k, failed = 0, "any"
    while failed:
        k += 1
        faults.at(k, KeyboardInterrupt())
        with suppress(KeyboardInterrupt):
            save_checkpoint(tmp_path, checkpoint(4))
        failed = faults.failed
        faults.at(0)
        found, passed_over = newest(tmp_path)
        assert (found.step, passed_over) in [(2, []), (4, [])]


def test_a_fault_while_a_checkpoint_is_replaced_loses_none(faults, tmp_path):
    k, failed = 0, "any"
    while failed:
        k += 1
        place = tmp_path / str(k)
        faults.at(0)
        save_checkpoint(place, checkpoint(2))
        faults.at(k)
        attempt(lambda place=place: save_checkpoint(place, checkpoint(2)))
        failed = faults.failed
        assert newest(place)[0].step == 2


def test_a_fault_at_every_step_of_replacing_a_file(faults, tmp_path):
    path = tmp_path / "file"
    k, failed = 0, "any"
    while failed:
        k += 1
        faults.at(0)
        write_bytes(path, b"old")
        faults.at(k)
        error = attempt(lambda: write_bytes(path, b"new one"))
        failed = faults.failed
        assert str(path) in error.message if failed else error is None
        assert path.read_bytes() in (b"old", b"new one")
        assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_directory_takes_the_place_of_nothing_but_an_empty_one(tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    with staged_directory(place) as stage:
        (stage / "weights").write_text("precious")
    with pytest.raises(FileError, match="cannot be written"), staged_directory(place) as stage:
        (stage / "weights").write_text("new")
    assert [path.read_text() for path in tmp_path.rglob("weights")] == ["precious"]
    assert hidden(tmp_path) == []


def test_a_file_system_that_takes_no_more(tmp_path):
    save_checkpoint(tmp_path, checkpoint(2))
    large = Checkpoint(4, {"model": {"w": torch.zeros(100_000)}}, {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(FileError, match=r"model\.safetensors cannot be written: File too large"):
            save_checkpoint(tmp_path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert newest(tmp_path)[0].step == 2
    assert hidden(tmp_path) == []


def test_what_a_killed_process_left_is_removed_by_the_next_save(tmp_path):
    save_checkpoint(tmp_path, checkpoint(2))
    for name in (".step-00000004.0123abcd.tmp", ".step-00000001.del"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    strangers = [".file.77.tmp", ".precious.old", ".step-00000001.notes"]
    for name in strangers:
        (tmp_path / name).write_bytes(b"whole")
    save_checkpoint(tmp_path, checkpoint(4))
    assert sorted(hidden(tmp_path)) == strangers


def test_two_are_kept_and_those_of_an_abandoned_future_removed(tmp_path):
    for step in (2, 4, 6, 99_999_999, 100_000_000, 100_000_002):
        save_checkpoint(tmp_path, checkpoint(step), keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-100000000", "step-100000002"]
    assert newest(tmp_path)[0].step == 100_000_002
    save_checkpoint(tmp_path, checkpoint(100_000_001))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-100000000", "step-100000001"]


def test_only_one_process_trains_in_a_directory(tmp_path):
    with alone_in(tmp_path):
        # The claim is the process's own, so another process has to ask.
        pid = os.fork()
        if pid == 0:
            try:
                with alone_in(tmp_path):
                    os._exit(0)
            except FileError as error:
                os._exit(7 if "another process is at work" in error.message else 8)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    with alone_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
