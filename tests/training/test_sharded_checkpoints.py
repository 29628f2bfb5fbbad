"""Checkpoints of sharded weights: each process writes its rows, and any number of processes goes on from them."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import genmod
from genmod.system.shards import Shard, read_shards, write_shards
from genmod.system.tensors import read_any_tensors
from genmod.training.checkpoint import newest
from genmod.training.sharding import write_whole
from genmod.training.trainer import Run

from .started import started

PROGRAM = Path(__file__).with_name("sharded_run.py")


def run(folder, size, steps, *, resume=False, meet=""):
    how = json.dumps({"steps": steps, "resume": resume, "meet": f"{steps}-{size}{meet}"})
    started(PROGRAM, size, folder, how)
    return read_any_tensors(folder / "last.safetensors")


def test_a_failed_run_leaves_the_best_weights_of_its_checkpoint(tmp_path, monkeypatch):
    """Other processes may be gone, and what is not on disk with them."""
    give_up = Run._give_up

    def as_if_sharded(run, status):
        run.sharded = True
        give_up(run, status)

    def fail(event):
        if event.kind == "checkpoint" and event.step == 4:
            raise RuntimeError

    monkeypatch.setattr(Run, "_give_up", as_if_sharded)
    x = torch.rand(48, 1, 4, 4).round()
    model = genmod.build(data=x, encoder={"name": "mlp", "hidden": [4]}, latent=1)
    how = {"steps": 9, "batch_size": 24, "checkpoint_every": 4, "device": "cpu", "film_every": 0}
    with pytest.raises(RuntimeError):
        genmod.train(model, x, directory=tmp_path / "model", on_event=fail, **how)
    found, _ = newest(tmp_path / "model" / "checkpoints")
    left = read_any_tensors(tmp_path / "model" / "model.safetensors")
    assert found.step == 4
    assert left.keys() == found.tensors["best"].keys()
    assert all(torch.equal(left[name], tensor) for name, tensor in found.tensors["best"].items())


def test_tensors_in_parts_on_disk_are_written_whole(tmp_path):
    rows = torch.arange(6.0).reshape(3, 2)
    for i, (first, last) in enumerate(((0, 2), (2, 3))):
        write_shards(tmp_path / f"{i}.safetensors", {"a": Shard(rows[first:last], first, (3, 2))})
    stored = read_shards([tmp_path / "0.safetensors", tmp_path / "1.safetensors"])
    write_whole(tmp_path / "whole.safetensors", stored)
    assert torch.equal(read_any_tensors(tmp_path / "whole.safetensors")["a"], rows)


@pytest.mark.slow
def test_other_numbers_of_processes_go_on(tmp_path):
    """Two, then four, then one; and two again, whose weights are to the last bit those of a run without a stop."""
    folder, straight = tmp_path / "model", tmp_path / "straight"
    run(folder, 2, 4)
    parts = sorted(path.name for path in (folder / "checkpoints" / "step-00000004").glob("*.safetensors"))
    groups = ("best", "ema", "model", "optimizer")
    assert parts == [f"{group}-{rank:05d}-of-00002.safetensors" for group in groups for rank in (1, 2)]
    sizes = [
        (folder / "checkpoints" / "step-00000004" / f"model-0000{rank}-of-00002.safetensors").stat().st_size
        for rank in (1, 2)
    ]
    assert max(sizes) < 0.8 * (folder / "last.safetensors").stat().st_size
    shutil.copytree(folder, tmp_path / "damaged")
    uninterrupted = run(straight, 2, 6)

    # Of a damaged part all processes know, whoever has read it, and take the checkpoint before.
    part = tmp_path / "damaged" / "checkpoints" / "step-00000004" / "ema-00002-of-00002.safetensors"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    again = run(tmp_path / "damaged", 2, 6, resume=True)
    assert all(torch.equal(again[name], uninterrupted[name]) for name in uninterrupted)

    four = run(folder, 4, 6, resume=True)
    for name in uninterrupted:
        torch.testing.assert_close(four[name], uninterrupted[name], rtol=1e-4, atol=1e-5)
    found, _ = newest(folder / "checkpoints")
    assert found.step == 6
    assert all(torch.equal(each.whole(), four[name]) for name, each in found.tensors["ema"].items())
    # One process goes on too; its checkpoint is of the form without parts.
    run(folder, 1, 8, resume=True)
    assert (folder / "checkpoints" / "step-00000008" / "model.safetensors").exists()
    assert genmod.load(folder)
