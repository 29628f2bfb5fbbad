"""MNIST and Fashion-MNIST: where files are found, what is refused, and the real data where they are."""

import gzip
import hashlib
import os
import time
import zlib

import pytest
import torch

from genmod.data.dataset import default_root
from genmod.errors import DataError
from genmod.plugins.datasets import _mnist_like as mnist_like
from genmod.plugins.datasets.fashion_mnist import FashionMNIST
from genmod.plugins.datasets.mnist import MNIST


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """No test may reach a server but its own."""

    def refuse(*arguments, **keywords):
        raise OSError("no network")

    if "server" not in request.fixturenames:
        monkeypatch.setattr("genmod.plugins.datasets._files.urlopen", refuse)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("cls", "folder"),
    [
        (MNIST, "MNIST/raw"),
        (MNIST, "mnist"),
        (MNIST, "."),
        (FashionMNIST, "FashionMNIST/raw"),
        (FashionMNIST, "fashion-mnist"),
        (FashionMNIST, "."),
    ],
)
def test_where_files_are_found(small_mnist, tmp_path, cls, folder, zipped):
    small_mnist(tmp_path / folder, cls.files, zipped=zipped)
    dataset = cls(tmp_path, validation=20)
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [100, 20, 30]


def test_debians_fashion_mnist_is_found(small_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr("genmod.plugins.datasets.fashion_mnist._DEBIAN", tmp_path / "debian")
    small_mnist(tmp_path / "debian", FashionMNIST.files, zipped=True)
    assert len(FashionMNIST(tmp_path / "root", validation=20).split("test")) == 30


def test_the_last_training_examples_are_held_out(small_mnist, tmp_path):
    small_mnist(tmp_path, MNIST.files)
    one, other = MNIST(tmp_path, validation=20), MNIST(tmp_path, validation=50)
    assert torch.equal(one.split("validation").batch.x, other.split("validation").batch.x[-20:])
    assert torch.equal(one.split("train").batch.x[:70], other.split("train").batch.x)


def test_images_and_labels_are_the_files_bytes(small_mnist, tmp_path):
    small_mnist(tmp_path, MNIST.files)
    batch = MNIST(tmp_path, validation=20).split("train").batch
    images = (tmp_path / "train-images-idx3-ubyte").read_bytes()
    assert batch.x.numpy().tobytes() == images[16 : 16 + 100 * 784]
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    assert bytes(batch.labels.tolist()) == labels[8:108]


def test_another_datasets_files_of_the_same_names_are_refused(small_mnist, tmp_path, monkeypatch):
    small_mnist(tmp_path, MNIST.files)
    checked = tuple(
        (name, shape, zlib.crc32((tmp_path / name).read_bytes())) for name, shape, _ in MNIST.files
    )
    monkeypatch.setattr(MNIST, "files", checked)
    assert len(MNIST(tmp_path, validation=20).split("test")) == 30
    small_mnist(tmp_path, checked, seed=1)
    with pytest.raises(DataError, match="other content"):
        MNIST(tmp_path, validation=20).split("test")


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_without_files_or_network_it_says_where_to_put_them(tmp_path, monkeypatch, cls):
    monkeypatch.setattr("genmod.plugins.datasets.fashion_mnist._DEBIAN", tmp_path / "debian")
    start = time.monotonic()
    with pytest.raises(DataError) as raised:
        cls(tmp_path / "root").split("train")
    assert time.monotonic() - start < 30
    assert str(tmp_path / "root" / cls.__name__ / "raw") in raised.value.hint
    assert all(name in raised.value.hint for name, _, _ in cls.files)
    assert "--data-root" in raised.value.hint
    assert "GENMOD_DATA" in raised.value.hint
    assert "no network" in raised.value.message


def test_missing_files_are_downloaded_once(small_mnist, tmp_path, server, monkeypatch):
    small_mnist(server.folder, MNIST.files, zipped=True)
    checksums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in server.folder.iterdir()}
    monkeypatch.setattr(mnist_like, "_torchvision_source", lambda name, hint: ([server.url], checksums))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / name).write_bytes(gzip.decompress((server.folder / f"{name}.gz").read_bytes()))
    for _ in range(2):
        assert len(MNIST(tmp_path, validation=20).split("train")) == 100
    assert sorted(server.asked) == ["/t10k-images-idx3-ubyte.gz", "/train-images-idx3-ubyte.gz"]


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_torchvision_knows_where_to_download(cls):
    mirrors, checksums = mnist_like._torchvision_source(cls.source, "")
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in mirrors)
    assert set(checksums) == {f"{name}.gz" for name, _, _ in cls.files}


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    info = MNIST(tmp_path / "nothing").info
    assert (info.shape, info.levels, info.classes) == ((1, 28, 28), 256, tuple("0123456789"))


real = pytest.mark.skipif(
    not os.environ.get("GENMOD_DATA") or MNIST(default_root())._find("train-images-idx3-ubyte") is None,
    reason="GENMOD_DATA names no folder with MNIST",
)


@real
def test_the_real_one(digest):
    mnist = MNIST(default_root())
    train, validation, test = (mnist.split(name) for name in ("train", "validation", "test"))
    assert [len(train), len(validation), len(test)] == [55_000, 5_000, 10_000]
    assert train.batch.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.batch.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and deviation that everybody normalises MNIST with.
    whole = torch.cat([train.batch.x, validation.batch.x]).double() / 255
    assert round(float(whole.mean()), 4) == 0.1307
    assert round(float(whole.std()), 4) == 0.3081


@pytest.mark.skipif(
    FashionMNIST(default_root())._find("train-images-idx3-ubyte") is None,
    reason="neither GENMOD_DATA nor Debian's dataset-fashion-mnist has Fashion-MNIST",
)
@pytest.mark.slow
def test_the_real_fashion_mnist():
    fashion = FashionMNIST(default_root())
    train, test = fashion.split("train").batch, fashion.split("test").batch
    assert train.labels[:5].tolist() == [9, 0, 0, 3, 0]
    assert test.labels.bincount().tolist() == [1000] * 10
    whole = torch.cat([train.x, fashion.split("validation").batch.x]).double() / 255
    assert round(float(whole.mean()), 4) == 0.2860
    assert round(float(whole.std()), 4) == 0.3530
