"""Data too large for memory: the same examples as in memory, below any limit of memory."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from genmod.errors import DataError
from genmod.plugins.datasets.shards import Shards


def whole(split):
    return split.__getitems__(range(len(split))).x


@pytest.fixture
def x():
    return np.random.default_rng(0).integers(0, 256, (60, 1, 4, 5), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_files_are_joined_in_the_order_of_their_names(tmp_path, x, kind):
    for i, part in enumerate((x[:7], x[7:8], x[8:])):
        if kind == "npy":
            np.save(tmp_path / f"{i}.npy", part)
        else:
            save_file({"x": part, "y": np.arange(len(part))}, tmp_path / f"{i}.safetensors")
    dataset = Shards(tmp_path, path=tmp_path, in_memory=0)
    assert dataset.info.shape == (1, 4, 5)
    parts = {name: whole(dataset.split(name)) for name in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [48, 6, 6]
    found = {row.numpy().tobytes() for part in parts.values() for row in part}
    assert found == {row.tobytes() for row in x}
    assert dataset.split("train").in_memory() is None
    held = Shards(tmp_path, path=tmp_path).split("train").in_memory()
    assert torch.equal(held.x, parts["train"])


def test_rows_in_any_order(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    split = Shards(tmp_path, path=Path("x.npy")).split("train")
    everything = whole(split)
    assert torch.equal(split.__getitems__([5, 0, 47, 5]).x, everything[[5, 0, 47, 5]])
    assert split.__getitems__([]).x.shape == (0, 1, 4, 5)
    assert torch.equal(whole(pickle.loads(pickle.dumps(split))), everything)  # noqa: S301
    with pytest.raises(IndexError):
        split.__getitems__([48])


def test_split_folders(tmp_path, x):
    for name, part in (("train", x[:40]), ("val", x[40:])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", part)
    dataset = Shards(tmp_path, path=tmp_path)
    assert torch.equal(whole(dataset.split("validation")), torch.from_numpy(x[40:]))
    assert len(dataset.split("train")) == 36
    assert len(dataset.split("test")) == 4


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 2), dtype=object), "cannot be read|where numbers are allowed"),
        (np.zeros((9, 2), dtype=np.int32), "of shape"),
        (np.zeros((9, 2, 2), dtype=np.uint8), "of shape"),
        (np.zeros((2, 3), dtype=np.uint8), "2 training examples; 3 or more"),
        (np.asfortranarray(np.zeros((9, 2), dtype=np.float32)), "stored by columns"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=words):
        _ = Shards(tmp_path, path=Path("x.npy")).info


def test_damaged_files_are_refused(tmp_path, x):
    path = tmp_path / "x.npy"
    np.save(path, x)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="does not fit its size"):
        _ = Shards(tmp_path, path=path).info
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 8)
    with pytest.raises(DataError, match=r"cannot be read as \.safetensors"):
        _ = Shards(tmp_path, path=tmp_path / "x.safetensors").info


LIMITED = """
import resource, sys
import genmod
from pathlib import Path
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.plugins.datasets.shards import Shards

data = Shards(Path("."), path=Path(sys.argv[1]), in_memory=0)
parts = {"encoder": {"name": "mlp", "hidden": [16]}, "decoder": "gaussian", "dataset": "digits"}
model = assemble(compose("vae", components=parts, latent=2), data.info)
genmod.train(genmod.build(latent=2, encoder="mlp", decoder="gaussian"), steps=1, batch_size=4, device="cpu")
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 48 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    bytearray(64 * 2**20)
except MemoryError:
    pass
else:
    raise SystemExit("there is no limit")
print(genmod.train(model, data, steps=20, batch_size=16, device="cpu").steps)
"""


@pytest.mark.slow
def test_ten_times_the_memory_there_is(tmp_path):
    # 480 MB of zeros in a file with a hole, which takes no room; 48 MB more may be used than before training.
    shape = (960_000, 1, 20, 25)
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)))
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=200
    )
    assert done.stdout.strip() == "20", done.stderr[-2000:]
