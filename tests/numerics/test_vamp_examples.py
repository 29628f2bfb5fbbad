"""The VampPrior of training examples: which it takes, when, and that it keeps them."""

import pytest
import torch

from genmod import Batch, DataInfo, Dataset, TensorSplit, UsageError, build, compose, load, save, train
from genmod.model.assembly import assemble
from genmod.model.prepare import prepare_parts
from genmod.training.signals import Interrupted

INFO = DataInfo((1, 4, 4), levels=17)


class _Few(Dataset):
    info = INFO

    def split(self, name):
        fixed = torch.Generator().manual_seed(len(name))
        return TensorSplit(Batch(torch.randint(17, (60, 1, 4, 4), generator=fixed, dtype=torch.uint8)))


DATA = _Few(None)
VALUES = INFO.values(DATA.split("train").in_memory().x)


def vamp(inputs, components=6, seed=0):
    parts = {
        "encoder": {"name": "mlp", "hidden": [16]},
        "prior": {"name": "vamp", "components": components, "inputs": inputs},
        "decoder": {"name": "bernoulli", "binarize": "none"},
        "divergence": "kl-mc",
        "dataset": "digits",
    }
    return assemble(compose("vae", components=parts, latent=3), INFO, seed=seed)


def places(inputs, atol):
    """Which training example each pseudo-input is."""
    near = (inputs[:, None] - VALUES).abs().flatten(2).amax(2) <= atol
    assert near.any(1).all()
    return near.to(torch.uint8).argmax(1).tolist()


def go(model, **more):
    return train(model, DATA, **{"steps": 8, "batch_size": 16, "device": "cpu", "seed": 5} | more)


@pytest.mark.parametrize("inputs", ["data", "examples"])
def test_they_are_examples_when_training_begins(inputs):
    model = vamp(inputs)
    prepare_parts(model, DATA.split("train"), 5, resumed=False)
    chosen = places(model.prior.inputs, 0.021 if inputs == "data" else 0.0)
    assert len(set(chosen)) == 6
    other = vamp(inputs, seed=1)
    prepare_parts(other, DATA.split("train"), 6, resumed=False)
    assert places(other.prior.inputs, 0.021) != chosen


def test_examples_stay_what_they_are_and_others_move():
    for inputs in ("data", "examples"):
        model, start = vamp(inputs), vamp(inputs)
        prepare_parts(start, DATA.split("train"), 5, resumed=False)
        go(model, lr=0.1)
        same = torch.equal(model.prior.inputs, start.prior.inputs)
        assert same == (inputs == "examples")


def test_density_is_the_mean_of_the_posteriors_of_the_examples():
    model = vamp("examples").eval()
    prepare_parts(model, DATA.split("train"), 5, resumed=False)
    z = torch.randn(7, 3)
    chosen = VALUES[places(model.prior.inputs, 0.0)]
    each = torch.stack([model.encode(x[None]).log_prob(z) for x in chosen])
    torch.testing.assert_close(model.prior().log_prob(z), each.logsumexp(0) - torch.tensor(6.0).log())


def test_a_model_that_is_trained_further_keeps_them(tmp_path):
    model = vamp("examples")
    go(model)
    before = model.prior.inputs.clone()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model", weights="last")
    go(again, seed=6)
    assert torch.equal(again.prior.inputs, before)


@pytest.mark.parametrize("inputs", ["data", pytest.param("examples", marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_goes_on_with_them(inputs, tmp_path, stop_at):
    whole = vamp(inputs)
    go(whole, directory=tmp_path / "whole")
    model = vamp(inputs)
    stop_at(model, 4)
    with pytest.raises(Interrupted):
        go(model, directory=tmp_path / "stopped")
    again = vamp(inputs, seed=9)
    go(again, directory=tmp_path / "stopped", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_too_few_examples():
    with pytest.raises(UsageError, match="61 pseudo-inputs") as caught:
        go(vamp("data", components=61))
    assert "components=60" in caught.value.hint


def test_noise_wants_no_examples():
    model = build(encoder="mlp", prior="vamp", divergence="kl-mc", latent=2)
    assert model.prior.examples_wanted == 0
    assert {name for name, _ in model.prior.named_buffers()} == set()
