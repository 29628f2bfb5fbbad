"""Recorded steps, with a recording on the CPU that keeps the laws of CUDA's: operations are repeated, Python is not."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import genmod
from genmod.training import failing, late_check, trainer

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}


class FakeGraph(TorchDispatchMode):
    """Records operations on the CPU, with the tensors that they read and wrote; a replay writes to the same ones."""

    made: ClassVar[list["FakeGraph"]] = []

    def __init__(self):
        super().__init__()
        self.operations, self.written, self.replays = [], [], 0
        FakeGraph.made.append(self)

    def warm(self, body):
        return body()

    def record(self, body):
        try:
            with self:
                return body()
        finally:
            # CUDA computes nothing when it records.
            with torch.no_grad():
                for tensor, before in reversed(self.written):
                    tensor.copy_(before)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        if name in ("aten::_local_scalar_dense", "aten::nonzero"):
            raise RuntimeError("operation not permitted when stream is capturing")
        if func._schema.is_mutable:
            written = [
                leaf
                for given, declared in zip(args, func._schema.arguments, strict=False)
                if declared.alias_info is not None and declared.alias_info.is_write
                for leaf in tree_leaves(given)
            ]
            self.written += [(tensor, tensor.detach().clone()) for tensor in written]
        if name == "aten::native_batch_norm":  # writes its running moments, and does not say so
            self.written += [(tensor, tensor.clone()) for tensor in args[3:5]]
        made = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for func, args, kwargs, made in self.operations:
            again = tree_leaves(func(*args, **kwargs))
            for old, new in zip(tree_leaves(made), again, strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def recorded(monkeypatch):
    """As on a GPU, with ``--compile`` that only records."""
    FakeGraph.made = []
    monkeypatch.setattr(late_check, "RUNS_BEHIND", {"cpu"})
    monkeypatch.setattr(failing, "CudaGraph", FakeGraph)
    monkeypatch.setattr(torch, "compile", lambda terms, options: terms)
    return FakeGraph.made


def trained(model, **settings):
    said = []
    told = lambda event: said.append(event.text) if event.kind == "warning" else None  # noqa: E731
    result = genmod.train(model, device="cpu", on_event=told, **{"steps": 18, **settings})
    return model.state_dict(), result.rows, said


BATCH_NORM = {"encoder": {"name": "conv", "channels": [4], "norm": "batch"}, "latent": 2}


@pytest.mark.parametrize(
    ("components", "settings"),
    [
        (SMALL, {"schedule": "cosine", "clip": 1.0}),
        (BATCH_NORM, {"ema": 0.9}),
        ({**SMALL, "condition": "label", "data": "digits"}, {"skip": 4.7}),
    ],
    ids=["another learning rate each step", "batch norm", "conditions"],
)
def test_recorded_steps_are_those_of_the_run(components, settings, recorded):
    weights, rows, said = trained(genmod.build(**components), compile=True, **settings)
    assert not said
    assert [graph.replays for graph in recorded] == [18 - 3 + 2]
    others, other_rows, _ = trained(genmod.build(**components), **settings)
    assert not said
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name])
    losses, other_losses = ([row["loss"] for row in each] for each in (rows, other_rows))
    assert losses == pytest.approx(other_losses, rel=1e-4)


def test_a_schedule_is_waited_for(recorded):
    beta = {"objective.beta": "0->1 over 6 steps"}
    weights, _, said = trained(genmod.build(**SMALL, settings=beta), compile=True)
    assert not said
    assert [graph.replays for graph in recorded] == [18 - 6 - 3 + 2]
    others, *_ = trained(genmod.build(**SMALL, settings=beta))
    assert not said
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name])


def spoil(model, spoiled):
    terms = model.terms
    model.terms = lambda x: spoiled(terms(x))


def test_what_asks_the_device_runs_as_it_is(recorded):
    model, asks = genmod.build(**SMALL), genmod.build(**SMALL)
    spoil(asks, lambda found: found if float(found.loss.detach()) else None)
    weights, _, said = trained(asks, compile=True)
    assert said == [
        "steps cannot be recorded as a CUDA graph, and run as they are: "
        "operation not permitted when stream is capturing"
    ]
    others, *_ = trained(model)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name])


def test_what_python_changes_is_noticed(recorded):
    """A part that counts its calls gives another loss when it is repeated, and the recording is not used."""
    model, calls = genmod.build(**SMALL), []

    def counted(found):
        calls.append(1)
        return genmod.Terms(found.loss * (1 + len(calls)), found.values)

    spoil(model, counted)
    _, _, said = trained(model, compile=True)
    assert len(said) == 1
    assert "replayed, a step has the loss" in said[0]


def test_a_recorded_step_that_is_not_finite_moves_nothing(recorded, tmp_path):
    from genmod.training.checkpoint import newest
    from genmod.training.nonfinite import NonFiniteError

    bad = 9
    model, before, step = genmod.build(**SMALL), {}, trainer.Run.step

    def poisoned(run):
        if run.state.step == bad:
            before.update({name: weight.clone() for name, weight in run.model.state_dict().items()})
            run.batches.held.x[run.batches.indices(bad)[0]] = float("nan")
        return step(run)

    x = torch.rand(640, 1, 8, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Run, "step", poisoned)
        model = genmod.build(data=x, encoder={"name": "mlp", "hidden": [16]}, latent=2, decoder="gaussian")
        with pytest.raises(NonFiniteError, match=rf"step {bad + 1} gave"):
            genmod.train(
                model, x, directory=tmp_path / "m", steps=18, device="cpu", compile=True, batch_size=64
            )
    kept, _ = newest(tmp_path / "m" / "non-finite")
    assert kept.step == bad
    assert all(torch.equal(kept.tensors["model"][name], weight) for name, weight in before.items())
    assert recorded[0].replays >= bad - 3 + 2


@pytest.mark.parametrize("recipe", [pytest.param("vq-vae", marks=pytest.mark.slow), "factor-vae"])
def test_what_is_not_recorded(recipe, recorded):
    """Parts with a state between steps, and critics."""
    run_settings = {"steps": 4, "batch_size": 8}
    _, _, said = trained(genmod.build(recipe), compile=True, **run_settings)
    assert not said


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("components", [SMALL, BATCH_NORM], ids=["plain", "batch norm"])
def test_recorded_on_a_gpu(components, monkeypatch):
    """The random numbers, and so the losses, are those of steps that are not recorded."""
    found = []
    monkeypatch.setattr(torch, "compile", lambda terms, options: terms)
    for compiled in (True, False):
        model = genmod.build(**components)
        result = genmod.train(model, steps=60, device="cuda", compile=compiled)
        found.append([row["loss"] for row in result.rows])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


@pytest.mark.slow
def test_the_benchmark_runs_on_the_cpu(tmp_path):
    """Small, which measures nothing, and finds what has changed under it."""
    import json
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
    how = ["--device", "cpu", "--quick", "--output", str(tmp_path)]
    subprocess.run([sys.executable, str(script), *how], check=True, capture_output=True)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert all("failed" not in section for section in found.values())
    assert (tmp_path / "gpu.md").read_text().count("###") == 6
