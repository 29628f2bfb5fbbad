"""Files of rows: what is read is what was written, whoever writes at the same time, and whatever happens to them."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genmod.system.row_file import RowFile, about_rows

SIZE, EMPTY = 600, np.zeros
ABOUT = {"shape": [3, 10, 20], "place": "pictures é"}


def keys_of(n, first=0):
    numbers = np.arange(first, first + n)
    return np.stack([numbers * 7919 % 1009 * 2**40, numbers, numbers + 5], 1)


def content(key):
    """The bytes of a row are a function of its key, as pixels are of a picture."""
    return np.random.default_rng(key.tolist()).integers(0, 256, SIZE, dtype=np.uint8)


def opened(path, keys, about=ABOUT, room=lambda size: ""):
    return RowFile.open(path, about, keys, SIZE, room)


def fill(file, keys, rows):
    for row in rows:
        file.put(row, content(keys[row]))


def there(file, keys):
    """Which rows are there; all that are have the right bytes."""
    out, found = np.zeros(SIZE, np.uint8), []
    for row, key in enumerate(keys):
        if file.take(row, out):
            assert np.array_equal(out, content(key))
            found.append(row)
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures-0.rows"


def test_rows_that_were_written_are_there_for_the_next(path):
    keys = keys_of(40)
    file = opened(path, keys)
    assert there(file, keys) == []
    fill(file, keys, [3, 39, 0])
    assert there(file, keys) == there(opened(path, keys), keys) == [0, 3, 39]
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert about_rows(path) == ABOUT


def test_a_row_that_another_writes_is_seen_at_once(path):
    keys = keys_of(10)
    one, other = opened(path, keys), opened(path, keys)
    fill(one, keys, [4])
    fill(other, keys, [5])
    assert there(one, keys) == there(other, keys) == [4, 5]


FILLING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_row_file import *
path, rounds, step = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
keys = keys_of(400)
file = opened(path, keys)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds):
    fill(file, keys, range(len(keys))[::step])
"""


def filling(path, rounds, step=1):
    command = [sys.executable, "-c", FILLING, os.path.dirname(__file__), str(path), str(rounds), str(step)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_that_fill_it_at_once_and_one_that_is_killed(path):
    """Both make it, one from either end; the second is killed in the midst of writing."""
    keys = keys_of(400)
    with filling(path, 1) as one, filling(path, 10**6, -1) as other:
        for each in (one, other):
            assert each.stdout.readline() == "ready\n"
        for each in (one, other):
            each.stdin.write("\n")
            each.stdin.flush()
        file = opened(path, keys)
        while not there(file, keys):  # while they are writing
            time.sleep(0.001)
        os.kill(other.pid, signal.SIGKILL)
        there(opened(path, keys), keys)
        assert one.wait() == 0
    assert there(opened(path, keys), keys) == list(range(400))
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_it_is_never_taken_for_whole_when_damaged(path):
    keys = keys_of(12)
    fill(opened(path, keys), keys, range(12))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    lost = 0
    for place in [0, 30, 4095, 4096, 4200, 4400, 8192, *rng.integers(0, len(whole), 60).tolist()]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        lost += len(there(opened(path, keys), keys)) < 12
    assert lost > 40
    for length in (0, 10, 5000, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert len(there(opened(path, keys), keys)) == 0
    assert about_rows(path) == ABOUT  # made anew


def test_a_small_file_that_says_it_has_many_rows_is_not_read(path, monkeypatch):
    keys = keys_of(12)
    whole = opened(path, keys)
    fill(whole, keys, range(12))
    monkeypatch.setattr("genmod.system.row_file._MOST_KEYS", 4096 + 8 * 3 * 11)
    monkeypatch.setattr(
        np, "zeros", lambda *given: pytest.fail("memory is taken") if given[0] == (12, 3) else EMPTY(*given)
    )
    assert there(opened(path, keys), keys) == []


def test_of_what_has_changed_other_rows_are_taken_over(path):
    keys = keys_of(30)
    file = opened(path, keys)
    fill(file, keys, range(1, 30))
    changed = np.concatenate([keys_of(3, 500), keys[:10], keys[12:]])
    changed[20, 2] += 1
    new = opened(path, changed)
    assert there(new, changed) == [*range(4, 20), *range(21, 31)]
    # Who has the old one open goes on with it.
    assert there(file, keys) == list(range(1, 30))
    fill(file, keys, [0])
    assert there(opened(path, changed), changed) == [*range(4, 20), *range(21, 31)]


def test_of_two_rows_that_look_alike_neither_is_taken_over(path):
    keys = keys_of(6)
    keys[4] = keys[2]
    file = opened(path, keys)
    fill(file, keys, range(6))
    assert there(opened(path, keys), keys) == list(range(6))
    assert there(opened(path, keys[::-1]), keys[::-1]) == [0, 2, 4, 5]


def test_rows_that_are_made_by_something_else_are_made_anew(path):
    keys = keys_of(5)
    fill(opened(path, keys), keys, range(5))
    assert there(opened(path, keys, {**ABOUT, "shape": [1]}), keys) == []


@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_what_is_no_file_stays(path, tmp_path, what):
    target = tmp_path / "other"
    keys = keys_of(5)
    fill(opened(target, keys), keys, range(5))
    before = target.read_bytes()
    if what == "link":
        path.symlink_to(target)
    elif what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(OSError, match="is not a file"):
        opened(path, keys)
    assert about_rows(path) is None
    assert target.read_bytes() == before
    assert path.is_symlink() or not path.is_file()
    assert len(list(tmp_path.iterdir())) == 2


def test_where_there_is_no_room_nothing_is_written(path):
    asked = []
    with pytest.raises(OSError, match="too much"):
        opened(path, keys_of(5), room=lambda size: asked.append(size) or "too much")
    assert asked == [8192 + 5 * SIZE]
    assert list(path.parent.iterdir()) == []


def test_a_disk_that_is_full(path):
    """A limit of the system stands for it: both refuse what goes beyond."""
    keys = keys_of(20)
    file = opened(path, keys)
    fill(file, keys, [0, 1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192 + 4 * SIZE + 7, before[1]))
    try:
        fill(file, keys, [2, 3])
        with pytest.raises(OSError) as raised:
            fill(file, keys, [4])
        assert raised.value.errno in (errno.EFBIG, errno.ENOSPC)
        with pytest.raises(OSError):
            opened(path.with_name("other.rows"), keys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert there(file, keys) == there(opened(path, keys), keys) == [0, 1, 2, 3]
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_another_user_is_neither_read_nor_filled_nor_replaced(path, monkeypatch):
    keys = keys_of(5)
    fill(opened(path, keys), keys, range(5))
    before = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        opened(path, keys)
    assert about_rows(path) is None
    assert path.read_bytes() == before
