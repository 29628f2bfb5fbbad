"""The cache folder: what is counted, what is removed, and what never is."""

import os
import time

import pytest

from genmod.errors import UsageError
from genmod.system import kept

DIGEST = "0123456789abcdef" * 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def write(folder, name, size, used):
    (folder / name).write_bytes(bytes(size))
    os.utime(folder / name, (used, used))
    return folder / name


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_only_files_of_genmod_are_counted_and_cleared(folder, tmp_path):
    rows = write(folder, f"pictures-{DIGEST}.rows", 500, 1000)
    lists = write(folder, f"folder-{DIGEST}.safetensors", 50, 2000)
    outside = write(tmp_path, "mine", 7, 0)
    (folder / f"tar-{DIGEST}.safetensors").symlink_to(outside)
    (folder / f"facts-{DIGEST}.safetensors").mkdir()
    write(folder, "thesis.rows", 9, 0)
    write(folder, f"pictures-{DIGEST}.rows.bak", 9, 0)
    write(folder, f".pictures-{DIGEST}.rows.00ff00ff.tmp", 9, 1000)
    write(folder, f".pictures-{DIGEST}.rows.11ff00ff.tmp", 9, time.time())
    found = kept.kept_files()
    assert [(each.path, each.kind, each.size) for each in found] == [
        (rows, "pictures", 500),
        (lists, "folder", 50),
    ]
    assert kept.clear_kept() == found
    assert names(folder) == [
        f".pictures-{DIGEST}.rows.11ff00ff.tmp",
        f"facts-{DIGEST}.safetensors",
        f"pictures-{DIGEST}.rows.bak",
        f"tar-{DIGEST}.safetensors",
        "thesis.rows",
    ]
    assert outside.exists()


def test_what_was_not_used_for_the_longest_time_makes_room(folder, monkeypatch):
    monkeypatch.setenv("GENMOD_CACHE_SIZE", str(1000 / 2**30))
    files = [write(folder, f"pictures-{i}{DIGEST[1:]}.rows", 300, 5000 - i) for i in range(3)]
    write(folder, f"facts-{DIGEST}.safetensors", 300, 0)
    assert kept.room_for(100, folder / "new") == ""
    assert all(file.exists() for file in files)
    assert kept.room_for(450, files[2]) == ""  # in place of one of them: 300 + 300 + 450 are too many
    assert [file.exists() for file in files] == [True, False, True]
    assert names(folder)[0] == f"facts-{DIGEST}.safetensors"
    assert "GENMOD_CACHE_SIZE=1 allows it" in kept.room_for(1001, folder / "new")
    assert files[0].exists()


def test_the_disk_is_not_filled(folder, monkeypatch):
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    assert kept.room_for(500, folder / "new") == ""
    assert "more than half of what is free" in kept.room_for(501, folder / "new")


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_size_that_is_none(monkeypatch, text):
    monkeypatch.setenv("GENMOD_CACHE_SIZE", text)
    with pytest.raises(UsageError, match="GENMOD_CACHE_SIZE"):
        kept.kept_limit()


def test_sizes_and_places(monkeypatch):
    monkeypatch.delenv("GENMOD_CACHE_SIZE", raising=False)
    assert kept.kept_limit() == 20 * 2**30
    monkeypatch.setenv("GENMOD_CACHE_SIZE", "0.5")
    assert kept.kept_limit() == 2**29
    monkeypatch.setenv("GENMOD_CACHE", "0")
    assert kept.kept_folder() is None
    assert kept.kept_files() == kept.clear_kept() == []
