"""Tensors in parts on disk: any rows of them, from any number of files, and nothing from damaged ones."""

import json

import pytest
import torch

from genmod.errors import FileError
from genmod.system.shards import Shard, StoredTensor, read_shards, write_in_turn, write_shards
from genmod.system.tensors import read_any_tensors

WHOLE = {
    "matrix": torch.arange(21.0).reshape(7, 3),
    "count": torch.tensor(5),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "half": torch.arange(4.0).to(torch.bfloat16),
}


@pytest.fixture
def parts(tmp_path):
    """The tensors in three files, one of which has no rows of some; scalars in the first alone."""
    paths = []
    for rank in range(3):
        shards = {}
        for name, tensor in WHOLE.items():
            if tensor.dim():
                each = -(-len(tensor) // 3)
                shards[name] = Shard(
                    tensor[rank * each : (rank + 1) * each],
                    min(rank * each, len(tensor)),
                    tuple(tensor.shape),
                )
            elif rank == 0:
                shards[name] = Shard(tensor, 0, ())
        paths.append(tmp_path / f"part-{rank}.safetensors")
        write_shards(paths[-1], shards)
    return paths


def test_all_rows_come_back(parts):
    found = read_shards(parts)
    assert list(found) == sorted(WHOLE)
    for name, tensor in WHOLE.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].whole(), tensor)


def test_any_rows_are_read(parts):
    matrix = read_shards(reversed(parts))["matrix"]
    for first in range(8):
        for last in range(first, 8):
            assert torch.equal(matrix.rows(first, last), WHOLE["matrix"][first:last])


def test_a_file_that_is_missing_is_noticed(parts):
    for left_out in range(3):
        with pytest.raises(FileError, match="missing or there twice"):
            read_shards(each for i, each in enumerate(parts) if i != left_out)
    with pytest.raises(FileError, match="missing or there twice"):
        read_shards([*parts, parts[0]])


def test_rows_of_another_tensor_are_refused(parts, tmp_path):
    other = tmp_path / "other.safetensors"
    write_shards(other, {"matrix": Shard(torch.zeros(1, 2), 6, (7, 2))})
    with pytest.raises(FileError, match="another shape or type"):
        read_shards([*parts[:2], other])


def test_tensors_that_are_fetched_one_by_one_are_a_file_like_any_other(tmp_path):
    asked = []

    def fetch(name):
        asked.append(name)
        return WHOLE[name]

    path = tmp_path / "all.safetensors"
    write_in_turn(path, {name: (each.dtype, tuple(each.shape)) for name, each in WHOLE.items()}, fetch)
    assert asked == sorted(WHOLE)
    found = read_any_tensors(path)
    assert all(torch.equal(found[name], tensor) for name, tensor in WHOLE.items())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="checksum"):
        read_any_tensors(path)


def test_a_file_without_places_is_damaged(tmp_path):
    path = tmp_path / "plain.safetensors"
    write_in_turn(path, {"a": (torch.float32, (2,))}, lambda name: torch.zeros(2))
    with pytest.raises(FileError, match="damaged"):
        read_shards([path])


def test_values_lie_at_multiples_of_their_size(tmp_path):
    path = tmp_path / "all.safetensors"
    write_in_turn(path, {name: (each.dtype, tuple(each.shape)) for name, each in WHOLE.items()}, WHOLE.get)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name in WHOLE:
            assert (8 + length + entry["data_offsets"][0]) % WHOLE[name].element_size() == 0


def test_a_file_that_goes_away_is_said(tmp_path):
    stored = StoredTensor((2,), torch.float32, [(0, 2, tmp_path / "gone.safetensors", "a")])
    with pytest.raises(FileError, match=r"gone\.safetensors cannot be read"):
        stored.rows(0, 2)
