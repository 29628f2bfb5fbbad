"""The compiled step: the same run as the plain one, and the plain one where it cannot be compiled."""

import pytest
import torch

import genmod

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}


def test_a_step_that_cannot_be_compiled_runs_as_it_is(monkeypatch):
    """With a warning that says why, and the weights of a run that was not to be compiled."""

    def refuse(function):
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
    monkeypatch.setattr(torch, "compile", lambda function: function)
    model = genmod.build(**SMALL)
    monkeypatch.setattr(type(model), "terms", lambda self, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        genmod.train(model, steps=5, device="cpu", compile=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_same_run_compiled():
    """With a schedule that moves at each step, which must not compile it anew, and the noise of the plain run."""
    import torch._dynamo.utils
    import torch._inductor.config

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    weights = []
    with torch._inductor.config.patch(fallback_random=True):
        for compile_ in (True, False):
            model = genmod.build(**SMALL, settings={"objective.beta": "0->1 over 20 steps"})
            warnings = []
            genmod.train(model, steps=25, device="cpu", compile=compile_, on_event=warnings.append)
            assert not [event.text for event in warnings if event.kind == "warning"]
            weights.append(model.state_dict())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 3
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-3, atol=1e-4)
