"""Failures that have a way out are named, with what to type."""

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from genmod import Batch, TensorSplit, build, evaluate, load, save, train
from genmod.errors import DataError, UsageError
from genmod.system.failures import OutOfMemoryError, named, named_failures

SMALL = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_weights_of_any_precision_are_saved_and_loaded(tmp_path, dtype):
    model = build(**SMALL).to(dtype)
    place = save(model, tmp_path / "model")
    other = load(place)
    for name, tensor in model.state_dict().items():
        assert other.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(other.state_dict()[name], tensor)
    x = torch.zeros(4, 1, 8, 8)
    assert torch.equal(other.encode(x).mean, model.eval().encode(x).mean)
    assert save(other, tmp_path / "again").is_dir()
    assert math.isfinite(evaluate(other, TensorSplit(Batch(x)))["elbo"].value)
    assert other.sample(3, seed=0, noise=True).isfinite().all()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 7.28 TiB for an array"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: …"
        ),
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"
        ),
    ],
)
def test_want_of_memory_is_named(error):
    found = named(error)
    assert isinstance(found, OutOfMemoryError)
    assert isinstance(found, MemoryError)
    assert "--batch-size" in found.hint
    assert found.exit_code == 1


def test_other_errors_stay_what_they_are():
    for error in (RuntimeError("shapes differ"), ValueError("no"), KeyError("x"), UsageError("given")):
        assert named(error) is None
    with pytest.raises(ZeroDivisionError), named_failures():
        _ = 1 / 0


def test_want_of_memory_in_evaluation_sampling_and_training(monkeypatch):
    model = build(**SMALL)

    def fail(*arguments):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(model.network, "forward", fail)
    for use in (
        lambda: evaluate(model, TensorSplit(Batch(torch.zeros(4, 1, 8, 8)))),
        lambda: model.sample(4, seed=0),
        lambda: train(model, steps=1, device="cpu"),
    ):
        with pytest.raises(OutOfMemoryError, match="not enough memory"):
            use()


def test_want_of_memory_on_the_command_line(monkeypatch, tmp_path, capsys):
    from genmod.cli import main

    place = save(build(**SMALL), tmp_path / "model")
    with pytest.raises(SystemExit) as stopped:
        main(["sample", str(place), "-n", "900000000000"])
    assert stopped.value.code == 1
    printed = capsys.readouterr().err
    assert "not enough memory" in printed
    assert "--debug" not in printed


def test_batch_normalisation_of_one_example(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((20, 8, 8)))
    data = {"name": "npz", "path": str(tmp_path / "x.npz")}
    model = build(data=data, encoder={"name": "conv", "channels": [4, 4, 4], "norm": "batch"}, latent=2)
    with pytest.raises(UsageError, match="at least two examples"):
        train(model, steps=2, batch_size=1, device="cpu")


def test_normalising_stored_bytes_is_refused_by_name():
    with pytest.raises(UsageError, match="--augment normalize") as raised:
        train(build(**SMALL), steps=1, device="cpu", augment=["normalize:mean=[0.5],std=[0.5]"])
    assert "random-crop" in raised.value.hint


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((60, 4)).astype(np.float32))
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import multiprocessing
        multiprocessing.set_start_method("spawn", force=True)
        import genmod
        data = {{"name": "shards", "path": {str(tmp_path)!r}, "in_memory": 0}}
        model = genmod.build(data=data, encoder={{"name": "mlp", "hidden": [4]}}, decoder="gaussian", latent=2)
        genmod.train(model, steps=2, workers=1, batch_size=8, device="cpu")
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode
    assert "if __name__ == '__main__'" in done.stderr.strip().splitlines()[-1]


def test_data_errors_are_no_want_of_memory():
    assert named(DataError("out of memory is only a word here")) is None
