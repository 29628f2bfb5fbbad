"""What is kept of many pictures for the next start: it is used where nothing has changed, and only there."""

import os
import shutil
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from genmod import DataError, DataInfo
from genmod.plugins.datasets import _cache, _facts, _folder, _tar_listing
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.plugins.datasets.webdataset import WebDataset
from genmod.system import write_tensors

LONG_AGO = 1_600_000_000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder where things are kept, also of few pictures."""
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_cache, "LEAST", 1)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return tmp_path / "cache"


@pytest.fixture
def counted(monkeypatch):
    """How many headers, largest values, folders and archives have been read."""
    counts = dict.fromkeys(("header_of", "brightest", "_walked", "members_of"), 0)
    for module, name in (
        (_facts, "header_of"),
        (_facts, "brightest"),
        (_folder, "_walked"),
        (_tar_listing, "members_of"),
    ):
        before = getattr(module, name)

        def again(*given, name=name, before=before):
            counts[name] += 1
            return before(*given)

        monkeypatch.setattr(module, name, again)

    def since():
        found = dict(counts)
        counts.update(dict.fromkeys(counts, 0))
        return found

    return since


def settle(folder):
    """As if nothing there had changed for a long time."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (LONG_AGO, LONG_AGO))


def write(folder, count=12):
    for i in range(count):
        place = folder / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        values = np.full((6, 5), 1000 * i, np.uint16) if i < 3 else np.full((6, 5), i, np.uint8)
        Image.fromarray(values).save(place / f"{i:02}.png")
    settle(folder)
    return folder


def everything(folder, kind=ImageFolder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # only some have more than 8 bits
        data = kind(folder, path=folder, channels=1, **options)
        return data.info, data.everything().names, data.everything().in_memory().x, data.places("train")


def alike(one, other):
    assert one[:2] == other[:2]
    assert torch.equal(one[2], other[2])
    assert torch.equal(one[3], other[3])


NOTHING = {"header_of": 0, "brightest": 0, "_walked": 0, "members_of": 0}


def test_the_second_time_no_folder_is_listed_and_no_header_read(cache, counted, tmp_path):
    folder = write(tmp_path / "in")
    first = everything(folder)
    assert counted() == {"header_of": 12, "brightest": 3, "_walked": 1, "members_of": 0}
    second = everything(folder)
    assert counted() == NOTHING
    alike(first, second)
    assert sorted(path.name.split("-")[0] for path in cache.iterdir()) == ["facts", "folder"]
    assert not [path for path in folder.rglob("*") if path.suffix not in (".png", "")]


def test_only_what_has_changed_is_read_again(cache, counted, tmp_path):
    folder = write(tmp_path / "in")
    everything(folder)
    counted()
    Image.fromarray(np.full((6, 5), 9, np.uint8)).save(folder / "b" / "new.png")
    os.utime(folder / "b" / "new.png", (LONG_AGO, LONG_AGO))
    info, names, *_ = everything(folder)
    assert counted() == {**NOTHING, "header_of": 1, "_walked": 1}
    assert (len(names), names[-1]) == (13, "b/new.png")
    (folder / "a" / "00.png").unlink()
    os.utime(folder / "a", (LONG_AGO + 5, LONG_AGO + 5))
    os.utime(folder / "b", (LONG_AGO + 5, LONG_AGO + 5))
    assert len(everything(folder)[1]) == 12
    assert counted() == {**NOTHING, "_walked": 1}
    # A picture that was written over in its place, with another depth.
    Image.fromarray(np.full((6, 5), 60_000, np.uint16)).save(folder / "a" / "04.png")
    os.utime(folder / "a" / "04.png", (LONG_AGO + 9, LONG_AGO + 9))
    assert everything(folder)[0].levels == 65536
    assert info.levels == 2048
    assert counted() == {**NOTHING, "header_of": 1, "brightest": 1}


def test_what_has_just_changed_is_not_kept(cache, counted, tmp_path):
    folder = write(tmp_path / "in")
    now = time.time()
    os.utime(folder / "a", (now, now))
    os.utime(folder / "a" / "04.png", (now, now))
    for _ in range(2):
        everything(folder)
        assert counted() == {"header_of": 12, "brightest": 3, "_walked": 1, "members_of": 0}
    assert not cache.exists()


def test_archives_are_listed_once(cache, counted, tmp_path):
    write(tmp_path / "in")
    shards = tmp_path / "shards"
    shards.mkdir()
    for name in "ab":
        with tarfile.open(shards / f"{name}.tar", "w") as archive:
            archive.add(tmp_path / "in" / name, name)
    settle(shards)
    first = everything(shards, WebDataset)
    assert counted() == {"header_of": 12, "brightest": 3, "_walked": 0, "members_of": 2}
    alike(first, everything(shards, WebDataset))
    assert counted() == NOTHING
    os.utime(shards / "b.tar", (LONG_AGO + 5, LONG_AGO + 5))
    alike(first, everything(shards, WebDataset))
    assert counted() == {"header_of": 6, "brightest": 1, "_walked": 0, "members_of": 1}


def test_what_changed_just_before_it_was_read_is_not_kept_however_long_reading_took(
    cache, monkeypatch, tmp_path
):
    """A change within the same tick of the clock, after the first picture was read, would bear the same time."""
    folder = write(tmp_path / "in")
    with tarfile.open(folder / "a.tar", "w") as archive:
        archive.add(folder / "a", "a")
    begun = time.time_ns()
    now = begun - 10**9
    for path in (folder / "a", folder / "a.tar", folder / "a" / "04.png"):
        os.utime(path, ns=(now, now))
    listing = _folder.FolderListing(folder)
    clock, before = [begun], os.stat

    def slow(*given, **named):
        clock[0] = begun + 60 * 10**9
        return before(*given, **named)

    monkeypatch.setattr(time, "time_ns", lambda: clock[0])
    monkeypatch.setattr(os, "stat", slow)
    for read in (
        lambda: _folder._walked(folder),
        lambda: _tar_listing.TarListing(folder / "a.tar"),
        lambda: _facts.Facts(listing),
    ):
        clock[0] = begun
        read()
    assert not cache.exists()


@pytest.mark.parametrize("value", ["0", "elsewhere"])
def test_it_can_be_switched_off_and_moved(cache, monkeypatch, tmp_path, value):
    monkeypatch.setenv("GENMOD_CACHE", value if value == "0" else str(tmp_path / value))
    everything(write(tmp_path / "in"))
    assert not cache.exists()
    assert (tmp_path / "elsewhere").exists() == (value != "0")


def test_by_default_it_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("GENMOD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/x/cache")
    assert _cache.cache_file("folder", Path("/data")).parent == Path("/home/x/cache/genmod/listings")
    assert _cache.cache_file("folder", Path("/data"), 999) is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _cache.cache_file("folder", Path("/data")).parent == Path("~/.cache/genmod/listings").expanduser()


def test_where_nothing_can_be_written_nothing_is_kept(cache, tmp_path):
    cache.write_text("no folder")
    folder = write(tmp_path / "in")
    alike(everything(folder), everything(folder))
    assert cache.read_text() == "no folder"


def test_who_has_no_home_keeps_nothing(cache, counted, monkeypatch, tmp_path):
    for name in ("GENMOD_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    folder = write(tmp_path / "in")
    alike(everything(folder), everything(folder))
    assert counted()["_walked"] == 2


def hurt(path, name, values):
    """Another value in a file with a checksum that fits."""
    arrays = load_file(path)
    arrays[name] = values(arrays[name])
    write_tensors(path, {key: torch.from_numpy(np.ascontiguousarray(each)) for key, each in arrays.items()})


def text(content):
    return lambda before: np.frombuffer(content, np.uint8).copy()


@pytest.mark.parametrize(
    "change",
    [
        ("folder", "names", text(b"\0".join([b"../secret.png", *[b"a/x.png"] * 11]))),
        ("folder", "names", text(b"\0".join([b"/etc/secret.png", *[b"a/x.png"] * 11]))),
        ("folder", "names", text(b"\0".join([b"a/../../secret.png", *[b"a/x.png"] * 11]))),
        ("folder", "names", text(b"\0".join([b"a//x.png"] * 12))),
        ("folder", "names", text(b"a/00.png")),
        ("folder", "folders", text(b"\0../")),
        ("folder", "hashes", lambda a: a[:3]),
        ("folder", "marks", lambda a: a[:, :2]),
        ("folder", "marks", lambda a: a.astype(np.float64)),
        ("facts", "headers", lambda a: -a),
        ("facts", "headers", lambda a: a * 0 + 7),
        ("facts", "headers", lambda a: a[:, :2]),
        ("facts", "keys", lambda a: a[:0]),
        ("facts", "stamps", lambda a: a[:5]),
        ("facts", "whites", lambda a: a - 1e9),
        ("facts", "more", lambda a: np.zeros(3)),
    ],
)
def test_a_cache_that_says_the_impossible_is_no_cache(cache, tmp_path, change):
    folder = write(tmp_path / "in")
    (tmp_path / "secret.png").write_bytes(b"")
    first = everything(folder)
    what, name, values = change
    path = next(each for each in cache.iterdir() if each.name.startswith(what))
    if name == "more":
        arrays = {key: torch.from_numpy(each) for key, each in load_file(path).items()}
        write_tensors(path, {**arrays, name: torch.zeros(3)})
    else:
        hurt(path, name, values)
    alike(first, everything(folder))


def test_a_damaged_cache_is_no_cache(cache, tmp_path):
    folder = write(tmp_path / "in")
    first = everything(folder)
    for path in cache.iterdir():
        whole = path.read_bytes()
        for place in (3, 40, len(whole) // 2, len(whole) - 3):
            path.write_bytes(whole[:place])
            alike(first, everything(folder))
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            alike(first, everything(folder))
        path.unlink()
        path.mkdir()
    alike(first, everything(folder))
    shutil.rmtree(cache)


@pytest.mark.parametrize(
    "change",
    [("spans", lambda a: a + 10**9), ("spans", lambda a: -a), ("names", text(b"a")), ("labels", text(b""))],
)
def test_a_listing_of_an_archive_that_cannot_be(cache, tmp_path, change):
    write(tmp_path / "in")
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as archive:
        archive.add(tmp_path / "in", "in")
    settle(tmp_path / "shards")
    first = everything(tmp_path / "shards", WebDataset)
    hurt(next(each for each in cache.iterdir() if each.name.startswith("tar")), *change)
    alike(first, everything(tmp_path / "shards", WebDataset))


def test_broken_pictures_are_named_and_the_others_kept(cache, counted, tmp_path):
    folder = write(tmp_path / "in", 30)
    for i in range(4, 18):
        (folder / "ab"[i % 2] / f"{i:02}.png").write_bytes(b"rubbish")
    settle(folder)
    for read in (30, 14):
        with pytest.raises(DataError) as raised:
            _ = ImageFolder(folder, path=folder).info
        assert raised.value.message.count("none of BMP") == 10
        assert "and 4 more" in raised.value.message
        assert counted()["header_of"] == read


def test_of_what_a_model_knows_no_header_is_read(counted, tmp_path):
    data = ImageFolder(tmp_path, path=write(tmp_path / "in"), channels=1, crop=4)
    data.known = DataInfo((1, 4, 4), levels=2048, classes=("a", "b"))
    assert data.info == data.known
    assert counted() == {**NOTHING, "_walked": 1}


def test_what_another_user_has_put_there_is_neither_read_nor_replaced(cache, monkeypatch):
    path, arrays = cache / "folder-x.safetensors", {"names": np.arange(3)}
    _cache.kept(path, arrays)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert _cache.read_kept(path, {"names": (np.int64, 1)})["names"].tolist() == [0, 1, 2]
    before = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert _cache.read_kept(path, {"names": (np.int64, 1)}) is None
    _cache.kept(path, {"names": np.arange(9)})
    assert path.read_bytes() == before
