"""Decoded pictures that are kept for the next start: the same bits as decoded anew, whatever happened in between."""

import errno
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmod import DataError, DataWarning
from genmod.plugins.datasets import _decoded, _picture_split
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.plugins.datasets.webdataset import WebDataset
from genmod.system.row_file import RowFile
from genmod.training.batches import Batches

LONG_AGO = 1_600_000_000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_decoded, "_LEAST", 1)
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch):
    """Names of the pictures that are decoded, since they were last looked at."""
    seen, before = [], _picture_split.read_picture

    def again(*given, **named):
        seen.append(Path(str(given[0])).name)
        return before(*given, **named)

    monkeypatch.setattr(_picture_split, "read_picture", again)

    def since():
        found = sorted(seen)
        seen.clear()
        return found

    return since


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "in")


def write(folder, count=12, first=0, size=(30, 40)):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(first)
    for i in range(first, first + count):
        path = folder / f"{i:03}.jpg"
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def opened(folder, kind=ImageFolder, **options):
    return kind(folder, path=folder, **({"size": 8} | options))


def everything(folder, kind=ImageFolder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about depths and small pictures
        return opened(folder, kind, **options).everything().in_memory().x


def uncached(monkeypatch, folder, kind=ImageFolder, **options):
    with monkeypatch.context() as patch:
        patch.setenv("GENMOD_CACHE", "0")
        return everything(folder, kind, **options)


def make(folder, mode):
    """Pictures of one kind, and the options that they need."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for i in range(9):
        if mode == "deep":
            values, suffix = rng.integers(0, 60000, (9, 7)).astype(np.uint16), "png"
        elif mode == "floats":
            values, suffix = rng.random((9, 7)).astype(np.float32), "tiff"
        else:
            values, suffix = rng.integers(0, 256, (9, 7, 4), dtype=np.uint8), "png"
        Image.fromarray(values).save(folder / f"{i}.{suffix}")
        os.utime(folder / f"{i}.{suffix}", (LONG_AGO, LONG_AGO))
    return folder


@pytest.mark.parametrize(
    ("mode", "options", "dtype"),
    [
        ("opaque", {"channels": 4}, torch.uint8),
        ("opaque", {"channels": 1, "size": None, "crop": 5}, torch.uint8),
        ("opaque", {"channels": 1, "size": None, "crop": 5, "scale": 6}, torch.uint8),
        ("deep", {"channels": 1}, torch.int32),
        ("deep", {"channels": 3, "depth": "8"}, torch.uint8),
        ("floats", {"channels": 1, "size": None}, torch.float32),
    ],
)
def test_the_second_time_nothing_is_decoded_and_the_bits_are_the_same(
    cache, read, monkeypatch, tmp_path, mode, options, dtype
):
    folder = make(tmp_path / "in", mode)
    plain = uncached(monkeypatch, folder, **options)
    assert plain.dtype == dtype
    read()
    for times in (9, 0, 0):
        assert torch.equal(everything(folder, **options), plain)
        assert len(read()) == times
    # Every option makes other pixels, and has a file of its own.
    assert not torch.equal(everything(folder, channels=1, size=(3, 4)), plain)
    assert len(read()) == 9
    assert len(list(cache.iterdir())) == 2
    assert not [each for each in folder.iterdir() if each.suffix not in (".png", ".tiff")]


def test_splits_and_batches_share_what_is_kept(cache, read, monkeypatch, folder):
    plain = uncached(monkeypatch, folder)
    read()
    data = opened(folder)
    train, places = data.split("train"), data.places("train")
    assert torch.equal(train.__getitems__([3, 1, 3]).x, plain[places[[3, 1, 3]]])
    assert len(read()) == 3
    assert torch.equal(train.__getitems__([3, 1, -1]).x, plain[places[[3, 1, -1]]])
    assert torch.equal(data.everything().in_memory().x, plain)
    assert len(read()) == 1 + 9
    assert train.__getitems__([]).x.shape == (0, 3, 8, 8)
    with pytest.raises(IndexError):
        train.__getitems__([99])


def test_archives_too(cache, read, monkeypatch, folder, archive, tmp_path):
    content = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    (tmp_path / "shards").mkdir()
    for i in range(2):
        archive(tmp_path / "shards" / f"{i}.tar", content[i * 6 : i * 6 + 6])
        os.utime(tmp_path / "shards" / f"{i}.tar", (LONG_AGO, LONG_AGO))
    plain = uncached(monkeypatch, tmp_path / "shards", WebDataset)
    assert torch.equal(plain, uncached(monkeypatch, folder))
    everything(tmp_path / "shards", WebDataset)
    read()
    archive(tmp_path / "shards" / "1.tar", content[9:])
    os.utime(tmp_path / "shards" / "1.tar", (LONG_AGO, LONG_AGO))
    assert torch.equal(everything(tmp_path / "shards", WebDataset), torch.cat([plain[:6], plain[9:]]))
    assert read() == ["009.jpg", "010.jpg", "011.jpg"]


def test_only_what_has_changed_is_decoded_again(cache, read, monkeypatch, folder):
    everything(folder)
    read()
    write(folder, 1, first=50)
    write(folder, 1, first=3, size=(31, 41))
    (folder / "007.jpg").unlink()
    # Of the same size and time, as from an archive that has no times.
    size = (folder / "009.jpg").stat().st_size
    Image.new("RGB", (40, 30), "red").save(folder / "009.jpg")
    os.truncate(folder / "009.jpg", size)
    os.utime(folder / "009.jpg", (LONG_AGO, LONG_AGO))
    os.replace(folder / "010.jpg", folder / "011.jpg")
    x = everything(folder)
    assert set(read()) == {"003.jpg", "009.jpg", "011.jpg", "050.jpg"}
    assert torch.equal(x, uncached(monkeypatch, folder))
    assert len(list(cache.iterdir())) == 1


def test_what_has_just_changed_is_not_kept(cache, read, folder):
    now = time.time()
    os.utime(folder / "004.jpg", (now, now))
    everything(folder)
    read()
    everything(folder)
    assert read() == ["004.jpg"]


def test_parts_at_random_are_never_kept(cache, monkeypatch, folder):
    train = opened(folder, size=None, crop=8).split("train")
    some = train.varied([0, 1], seed=0, step=0).x
    assert not cache.exists()
    train.__getitems__([0, 1])  # from the middle
    assert torch.equal(train.varied([0, 1], seed=0, step=0).x, some)
    assert not torch.equal(train.varied([0, 1], seed=0, step=1).x, some)
    assert cache.exists()


@pytest.mark.parametrize("how", ["off", "few", "no home"])
def test_where_nothing_is_kept(cache, read, monkeypatch, folder, how):
    if how == "off":
        monkeypatch.setenv("GENMOD_CACHE", "0")
    elif how == "few":
        monkeypatch.setattr(_decoded, "_LEAST", 13)
    else:
        for name in ("GENMOD_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("pwd.getpwuid", lambda user: {}[user])
    for _ in range(2):
        everything(folder)
        assert len(read()) == 12
    assert not cache.exists()


@pytest.mark.parametrize("how", ["limit", "no folder", "link", "full"])
def test_where_it_cannot_be_kept_that_is_said_once(cache, read, monkeypatch, folder, how, recwarn):
    plain = uncached(monkeypatch, folder)
    if how == "limit":
        monkeypatch.setenv("GENMOD_CACHE_SIZE", "0")
    elif how == "no folder":
        cache.write_text("mine")
    elif how == "link":
        everything(folder)
        (made,) = cache.iterdir()
        made.rename(cache / "mine")
        made.symlink_to(cache / "mine")
    elif how == "full":
        written = []

        def full(self, row, content):
            written.append(row)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(RowFile, "put", full)
        monkeypatch.setattr(_picture_split, "in_threads", lambda f, items, what="": list(map(f, items)))
    data = opened(folder)
    read()
    for _ in range(2):
        assert torch.equal(data.everything().in_memory().x, plain)
        assert len(read()) == 12
    (said,) = [str(each.message) for each in recwarn if each.category is DataWarning]
    assert f"decoded pictures of {folder} are not kept for the next start: " in said
    assert {"limit": "GENMOD_CACHE_SIZE=1 allows it", "full": "No space left"}.get(how, "") in said
    if how == "no folder":
        assert cache.read_text() == "mine"
    elif how == "link":
        assert (cache / "mine").exists()
    elif how == "full":
        assert len(written) == 1


def test_damage_is_mended(cache, read, monkeypatch, folder):
    plain = uncached(monkeypatch, folder)
    everything(folder)
    (path,) = cache.iterdir()
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 1
    path.write_bytes(whole)
    read()
    assert torch.equal(everything(folder), plain)
    assert read() == ["011.jpg"]
    assert torch.equal(everything(folder), plain)
    assert read() == []


def test_broken_pictures_are_said_each_time_in_order(cache, read, monkeypatch, folder):
    for i in (8, 2, 5):
        (folder / f"{i:03}.jpg").write_bytes((folder / f"{i:03}.jpg").read_bytes()[:-300])
        os.utime(folder / f"{i:03}.jpg", (LONG_AGO, LONG_AGO))
    monkeypatch.setattr(_picture_split, "_SHARED", 4)
    for count in (12, 3):
        with pytest.raises(DataError) as raised:
            everything(folder)
        found = [line.partition(" ")[0][-7:] for line in raised.value.message.splitlines()]
        assert found == ["002.jpg", "005.jpg", "008.jpg"]
        assert len(read()) == count


def test_workers_fill_it(cache, read, monkeypatch, folder):
    plain = uncached(monkeypatch, folder)
    data = opened(folder)
    train, places = data.split("train"), data.places("train")
    batches = Batches(train, 5, seed=0, device=torch.device("cpu"), workers=1)
    seen = torch.cat([batches[0].x, batches[1].x])
    order = [*batches.indices(0), *batches.indices(1)]
    batches.close()
    assert torch.equal(seen, plain[places[order]])
    read()
    assert torch.equal(opened(folder).split("train").__getitems__(order).x, seen)
    assert read() == []


def test_pictures_are_held_in_memory_only_where_they_cannot_be_kept(cache, read, monkeypatch, folder):
    monkeypatch.setattr(_picture_split, "_IN_MEMORY", 3)
    for _ in range(2):
        train = opened(folder).split("train")
        assert train._held is not None
        train.__getitems__([1, 2])
        assert not train._held[1].any()
    assert len(read()) == 2
    monkeypatch.setenv("GENMOD_CACHE", "0")
    train = opened(folder).split("train")
    for _ in range(2):
        train.__getitems__([1, 2])
    assert train._held[1].sum() == 2
    assert len(read()) == 2


START = """
import sys
from pathlib import Path
from genmod.plugins.datasets.image_folder import ImageFolder
data = ImageFolder(Path(), path=Path(sys.argv[1]), size=24)
print("ready", flush=True)
sys.stdin.readline()
x = data.everything().in_memory().x
print(int(x.long().sum()), flush=True)
"""


@pytest.mark.slow
def test_runs_that_start_at_once_fill_one_file_and_one_is_killed(tmp_path, monkeypatch):
    folder = write(tmp_path / "in", 1500, size=(200, 300))
    plain = uncached(monkeypatch, folder, size=24)
    environment = {**os.environ, "GENMOD_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path / "cache"))

    def start():
        command = [sys.executable, "-c", START, str(folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    runs = [start() for _ in range(3)]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    path = None
    while path is None or path.stat().st_blocks * 512 < 300 * 24 * 24 * 3:
        time.sleep(0.01)
        path = next((tmp_path / "cache").glob("*.rows"), None)
    os.kill(runs[0].pid, signal.SIGKILL)
    assert torch.equal(everything(folder, size=24), plain)
    for run in runs[1:]:
        assert run.communicate()[0] == f"{int(plain.long().sum())}\n"
    runs[0].communicate()
    assert len(list((tmp_path / "cache").glob("*.rows"))) == 1
    monkeypatch.setattr(_picture_split, "read_picture", None)  # nothing is left to be decoded
    assert torch.equal(everything(folder, size=24), plain)
