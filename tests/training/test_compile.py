"""The compiled step: the same run as the plain one, and the plain one where it cannot be compiled."""

import os
import tempfile

import pytest
import torch

import genmod
from genmod.training import compilation
from genmod.training.compilation import Compilation
from genmod.training.distributed import Team

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}


def test_a_step_that_cannot_be_compiled_runs_as_it_is(monkeypatch):
    """With a warning that says why, and the weights of a run that was not to be compiled."""

    def refuse(function, options):
        def compiled(*arguments):
            raise RuntimeError("no compiler here\nand further lines")

        return compiled

    monkeypatch.setattr(torch, "compile", refuse)
    warnings = []
    weights = []
    for compile_ in (True, False):
        model = genmod.build(**SMALL)
        genmod.train(
            model,
            steps=5,
            device="cpu",
            compile=compile_,
            on_event=lambda event: warnings.append(event.text) if event.kind == "warning" else None,
        )
        weights.append(model.state_dict())
    assert warnings == ["the step cannot be compiled and runs uncompiled: no compiler here"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_is_wrong_with_the_model_is_not_blamed_on_the_compiler(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, options: function)
    model = genmod.build(**SMALL)
    monkeypatch.setattr(type(model), "terms", lambda self, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        genmod.train(model, steps=5, device="cpu", compile=True)


@pytest.mark.skipif(
    torch.__version__.startswith("2.6."),
    reason="this compiler does not know float() of an object, and begins anew there",
)
def test_the_terms_of_a_step_are_one_graph():
    """At a place that the compiler cannot follow, it makes two programs of one, which was slower than not to compile."""
    model = genmod.build(**SMALL)
    terms = torch.compile(model.terms, backend="eager", fullgraph=True)(torch.zeros(8, 1, 8, 8))
    terms.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


class Steps:
    """Steps that take as long as they are told to."""

    def __init__(self, monkeypatch, total=10_000, found=None, plain=0.1, compiled=0.05):
        self.now, self.used, self.said, self.took = 0.0, [], [], {"plain": plain, "compiled": compiled}
        monkeypatch.setattr(torch, "compile", lambda function, options: "compiled")
        monkeypatch.setattr(compilation.time, "perf_counter", lambda: self.now)
        how = {"total": total, "device": torch.device("cpu"), "team": Team(), "warn": self.said.append}
        self.decision = Compilation("plain", "auto", **how, found=found)

    def take(self, first, last):
        for step in range(first, last):
            self.decision.run(step, self.one, lambda: None)
        return self

    def one(self):
        self.used.append(self.decision.terms)
        self.now += self.took[self.decision.terms]


@pytest.mark.parametrize(("compiled", "faster"), [(0.05, True), (0.099, False), (0.2, False)])
def test_a_long_run_is_compiled_where_a_trial_shows_that_it_pays(monkeypatch, compiled, faster):
    steps = Steps(monkeypatch, compiled=compiled).take(0, 100)
    assert steps.used == ["plain"] * 40 + ["compiled"] * 40 + ["compiled" if faster else "plain"] * 20
    assert len(steps.said) == 1
    assert steps.said[0].endswith("is compiled" if faster else "is not compiled")
    assert steps.decision.state()["chosen"] is faster


def test_a_short_run_is_not_compiled(monkeypatch):
    steps = Steps(monkeypatch, total=3000).take(0, 100)
    assert steps.used == ["plain"] * 100
    assert steps.said == []


@pytest.mark.parametrize("at", [10, 30, 40, 50, 70, 80, 90])
def test_a_resumed_run_computes_each_step_as_the_run_it_goes_on_with(monkeypatch, at):
    whole = Steps(monkeypatch).take(0, 100)
    before = Steps(monkeypatch).take(0, at)
    after = Steps(monkeypatch, found=before.decision.state()).take(at, 100)
    assert before.used + after.used == whole.used


def test_what_is_decided_is_in_the_checkpoint(tmp_path):
    from genmod.training.checkpoint import newest

    genmod.train(genmod.build(**SMALL), directory=tmp_path / "run", steps=45, device="cpu", compile="auto")
    found, _ = newest(tmp_path / "run" / "checkpoints")
    assert found.state["compilation"]["chosen"] is False
    assert 0 < found.state["compilation"]["seconds"]["plain"] < 10


@pytest.mark.parametrize("given", [None, "/elsewhere"])
def test_what_torch_compiles_is_kept_for_the_next_run(monkeypatch, tmp_path, given):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", given or "")
    if given is None:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path))
    Steps(monkeypatch).take(0, 50)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == (given or str(tmp_path / "compiled"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_same_run_compiled():
    """With a schedule that moves at each step, which must not compile it anew, and the noise of the plain run."""
    import torch._dynamo.utils

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    weights = []
    for compile_ in (True, False):
        model = genmod.build(**SMALL, settings={"objective.beta": "0->1 over 20 steps"})
        warnings = []
        genmod.train(model, steps=25, device="cpu", compile=compile_, on_event=warnings.append)
        assert not [event.text for event in warnings if event.kind == "warning"]
        weights.append(model.state_dict())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 3
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-3, atol=1e-4)


def test_what_torch_executes_is_kept_where_nobody_else_can_write(monkeypatch, tmp_path):
    monkeypatch.setenv("GENMOD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "cache").mkdir()
    assert compilation._place() == tmp_path / "cache" / "compiled"
    (tmp_path / "cache").chmod(0o777)
    found = compilation._place()
    assert found.name == f"genmod-compiled-{os.getuid()}"
    assert found.parent == tmp_path
    found.chmod(0o777)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path / "new"))
    assert compilation._place() == tmp_path / "new"
