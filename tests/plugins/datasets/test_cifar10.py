"""CIFAR-10 from small files in its binary format, loose and packed."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from genmod.errors import DataError
from genmod.plugins.datasets import cifar10 as module
from genmod.plugins.datasets.cifar10 import CIFAR10

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"


def pack(folder, archive, monkeypatch, extra=()):
    with tarfile.open(archive, "w:gz") as tar:
        for member in extra:
            tar.addfile(*member)
        tar.add(folder, FOLDER)
    monkeypatch.setattr(module, "_MD5", hashlib.md5(archive.read_bytes()).hexdigest())


@pytest.fixture
def loose(small_cifar, tmp_path):
    small_cifar(tmp_path / "loose" / FOLDER)
    return tmp_path / "loose"


def test_records_become_planes_and_labels(loose):
    records = np.fromfile(loose / FOLDER / "data_batch_2.bin", dtype=np.uint8).reshape(24, 3073)
    train = CIFAR10(loose, validation=20).split("train").batch
    assert np.array_equal(train.labels[24:48].numpy(), records[:, 0])
    picture = train.x[24].numpy()
    assert picture[0, 0, 1] == records[0, 2]  # red, first row, second column
    assert picture[1, 2, 3] == records[0, 1 + 1024 + 2 * 32 + 3]  # green
    assert picture[2, 31, 31] == records[0, 3072]  # blue, last pixel


def test_splits(loose):
    dataset = CIFAR10(loose, validation=20)
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [100, 20, 24]
    records = np.fromfile(loose / FOLDER / "data_batch_5.bin", dtype=np.uint8).reshape(24, 3073)
    assert np.array_equal(dataset.split("validation").batch.x.numpy().reshape(20, -1), records[4:, 1:])


@pytest.mark.parametrize("place", [".", "CIFAR10"])
def test_packed_and_loose_files_are_the_same(loose, tmp_path, monkeypatch, digest, place):
    (tmp_path / "packed" / place).mkdir(parents=True, exist_ok=True)
    pack(loose / FOLDER, tmp_path / "packed" / place / ARCHIVE, monkeypatch)
    for name in ("train", "validation", "test"):
        packed = CIFAR10(tmp_path / "packed", validation=20).split(name)
        assert digest(packed) == digest(CIFAR10(loose, validation=20).split(name))
    assert [path.name for path in (tmp_path / "packed" / place).iterdir()] == [ARCHIVE]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content[:-1], "fewer than its 73,752 bytes"),
        (lambda content: content + b"\x00", "more than its 73,752 bytes"),
        (lambda content: b"\x0a" + content[1:], "the label 10"),
        (lambda content: b"", "fewer than"),
    ],
)
def test_damaged_files(loose, change, problem):
    path = loose / FOLDER / "data_batch_3.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=problem) as raised:
        CIFAR10(loose, validation=20).split("train")
    assert str(loose / FOLDER) in raised.value.message
    assert "data_batch_3.bin" in raised.value.message
    assert len(CIFAR10(loose, validation=20).split("test")) == 24


def test_a_missing_file(loose):
    (loose / FOLDER / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch\.bin cannot be read"):
        CIFAR10(loose, validation=20).split("test")


def test_an_archive_is_not_opened_unless_it_is_the_real_one(loose, tmp_path, monkeypatch):
    pack(loose / FOLDER, tmp_path / ARCHIVE, monkeypatch)
    content = (tmp_path / ARCHIVE).read_bytes()
    (tmp_path / ARCHIVE).write_bytes(content[:-1])
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(DataError, match="has MD5"):
        CIFAR10(tmp_path, validation=20).split("test")


def test_an_archive_without_its_files(small_cifar, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    monkeypatch.setattr(module, "_MD5", hashlib.md5((tmp_path / ARCHIVE).read_bytes()).hexdigest())
    with pytest.raises(DataError, match="cannot be read"):
        CIFAR10(tmp_path, validation=20).split("test")


def test_no_archive_at_all(small_cifar, tmp_path, monkeypatch):
    (tmp_path / ARCHIVE).write_bytes(b"rubbish")
    monkeypatch.setattr(module, "_MD5", hashlib.md5(b"rubbish").hexdigest())
    with pytest.raises(DataError, match="cannot be read"):
        CIFAR10(tmp_path, validation=20).split("test")


def test_it_is_downloaded_once(loose, tmp_path, server, monkeypatch):
    pack(loose / FOLDER, server.folder / ARCHIVE, monkeypatch)
    monkeypatch.setattr(module, "_SERVERS", (server.url,))
    for _ in range(2):
        assert len(CIFAR10(tmp_path / "root", validation=20).split("test")) == 24
    assert server.asked == [f"/{ARCHIVE}"]


def test_without_files_or_network_it_says_where_to_put_them(tmp_path, monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("no network")

    monkeypatch.setattr("genmod.plugins.datasets._files.urlopen", refuse)
    with pytest.raises(DataError, match="no network") as raised:
        CIFAR10(tmp_path / "root").split("train")
    assert all(text in raised.value.hint for text in (str(tmp_path / "root"), ARCHIVE, FOLDER, "GENMOD_DATA"))


def test_pickles_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "genmod.plugins.datasets.cifar10.fetch", lambda *a, **k: pytest.fail("asked to download")
    )
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(pytest.fail.Exception, match="asked to download"):
        CIFAR10(Path(tmp_path)).split("train")
