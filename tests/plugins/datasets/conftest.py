"""Small files in every format, written byte by byte."""

import functools
import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genmod.plugins.datasets import cifar10 as cifar10_module
from genmod.plugins.datasets.cifar10 import CIFAR10
from genmod.plugins.datasets.digits import Digits
from genmod.plugins.datasets.fashion_mnist import FashionMNIST
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.plugins.datasets.mnist import MNIST
from genmod.plugins.datasets.npz import Npz
from genmod.plugins.datasets.sprites import Sprites
from genmod.plugins.datasets.webdataset import WebDataset

TRAIN, TEST = 120, 30


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def small_files(cls):
    """The files of a dataset like MNIST, with fewer examples and no checksums."""
    sizes = {"train": TRAIN, "t10k": TEST}
    return tuple((name, (sizes[name.split("-")[0]], *shape[1:]), None) for name, shape, _ in cls.files)


def write_idx_files(folder, files, *, zipped=False, seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape, _ in files:
        content = idx_bytes(rng.integers(0, 10 if len(shape) == 1 else 256, shape))
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)


def write_cifar(folder, seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = rng.integers(0, 256, (24, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(24) % 10
        (folder / name).write_bytes(records.tobytes())


def write_pictures(folder, count=60, *, size=(5, 7), seed=0, classes=("cat", "dog")):
    rng = np.random.default_rng(seed)
    for i in range(count):
        place = folder / classes[i % len(classes)] if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(place / f"{i:03}.png")


def write_archive(path, members, *, format=tarfile.PAX_FORMAT):
    """A tar archive of ``(name, content)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_packed_pictures(path, numbers, *, seed=0):
    """An archive of pictures of 5×7 pixels, with their classes."""
    rng, members = np.random.default_rng(seed), []
    for i in numbers:
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(content, "PNG")
        members += [(f"{i:03}.png", content.getvalue()), (f"{i:03}.cls", str(i % 3).encode())]
    return write_archive(path, members)


@pytest.fixture
def digest():
    """A checksum of everything in a split."""

    def function(split):
        batch = split.__getitems__(range(len(split)))
        tensors = [tensor for tensor in (batch.x, batch.labels, batch.factors) if tensor is not None]
        return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()

    return function


@pytest.fixture
def small_mnist(monkeypatch):
    for cls in (MNIST, FashionMNIST):
        monkeypatch.setattr(cls, "files", small_files(cls))
    return write_idx_files


@pytest.fixture
def small_cifar(monkeypatch):
    monkeypatch.setattr(cifar10_module, "_FILE", 24 * 3073)
    return write_cifar


@pytest.fixture
def pictures():
    return write_pictures


@pytest.fixture
def archive():
    return write_archive


@pytest.fixture
def build(tmp_path, small_mnist, small_cifar):
    """Name → a function that makes the dataset, from small files where it reads any."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    small_mnist(root / "MNIST" / "raw", MNIST.files, zipped=True)
    small_mnist(root / "FashionMNIST" / "raw", FashionMNIST.files, seed=1)
    small_cifar(root / "cifar-10-batches-bin")
    write_pictures(root / "pictures")
    write_pictures(root / "sorted" / "train", 30)
    write_pictures(root / "sorted" / "val", 8, seed=1)
    write_pictures(root / "sorted" / "test", 8, seed=2)
    for i, numbers in enumerate((range(20), range(20, 45))):
        write_packed_pictures(root / "packed" / f"{i}.tar", numbers, seed=i)
    np.savez_compressed(
        root / "table.npz", x=rng.normal(3, 5, (90, 4)).astype(np.float32), y=rng.integers(0, 3, 90)
    )
    np.savez(root / "split.npz", x_train=rng.random((40, 6, 5, 3)), x_val=rng.random((9, 6, 5, 3)))
    np.save(root / "images.npy", rng.integers(0, 256, (50, 6, 5), dtype=np.uint8))
    np.save(root / "binary.npy", rng.random((50, 2, 4, 4)) < 0.5)
    return {
        "digits": lambda: Digits(root),
        "mnist": lambda: MNIST(root, validation=20),
        "fashion-mnist": lambda: FashionMNIST(root, validation=20),
        "cifar10": lambda: CIFAR10(root, validation=20),
        "image-folder": lambda: ImageFolder(root, path=Path("pictures")),
        "image-folder, sorted": lambda: ImageFolder(root, path=root / "sorted", size=(4, 6), channels=1),
        "npz": lambda: Npz(root, path=Path("table.npz")),
        "npz, standardized": lambda: Npz(root, path=Path("table.npz"), standardize=True),
        "npz, split": lambda: Npz(root, path=Path("split.npz")),
        "npz, levels": lambda: Npz(root, path=Path("images.npy")),
        "npz, binary": lambda: Npz(root, path=Path("binary.npy"), layout="chw"),
        "webdataset": lambda: WebDataset(root, path=Path("packed")),
        "sprites": lambda: Sprites(root, resolution=48, scales=3, rotations=7, positions=5),
    }


@pytest.fixture
def server(tmp_path):
    """A folder served on this machine, and its address; requests are listed in ``server.asked``."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    served.asked = []
    served.folder = folder
    served.url = f"http://127.0.0.1:{served.server_address[1]}/"
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()
