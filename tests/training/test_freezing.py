"""Parts that a run leaves as they are: bit for bit, statistics included; the others move as they would."""

import pytest
import torch

import genmod
from genmod import UsageError
from genmod.training.settings import TrainSettings

HOW = {"batch_size": 16, "device": "cpu", "log_every": 1, "film_every": 0}
X = torch.rand((40, 1, 8, 8), generator=torch.Generator().manual_seed(2))


def conv():
    encoder = {"name": "conv", "channels": [4], "norm": "batch"}
    return genmod.build(data=X, encoder=encoder, decoder="gaussian", latent=3)


def codes():
    return genmod.build(
        "vq-vae",
        data=X,
        encoder={"name": "conv-map", "width": 4, "blocks": 1, "halve": 1},
        posterior={"name": "vq", "codes": 4},
        prior="categorical",
        decoder="gaussian",
        latent=2,
    )


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(model, before):
    """The parts of which something has changed."""
    return {
        name.partition(".")[0] for name, t in model.state_dict().items() if not torch.equal(t, before[name])
    }


@pytest.mark.parametrize(
    ("make", "freeze", "moved"),
    [
        (conv, (), {"encoder", "posterior", "network", "decoder"}),
        (conv, ("encoder", "posterior"), {"network", "decoder"}),
        pytest.param(conv, ("network", "decoder"), {"encoder", "posterior"}, marks=pytest.mark.slow),
        (codes, ("posterior",), {"encoder", "network", "decoder"}),
    ],
)
def test_what_moves(make, freeze, moved):
    """With running means of a norm, and of a codebook, among what is frozen."""
    model = make()
    before = copied(model)
    genmod.train(model, X, steps=3, freeze=freeze, ema=0.9, **HOW)
    assert changed(model, before) == moved
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.train()
    assert all(part.training for part in model.modules())


def test_the_others_move_as_without():
    """By the gradients of the same loss: one step, with an optimizer that keeps no state and no statistics in the model."""
    how = {"steps": 1, "optimizer": "sgd", **HOW}
    models = [genmod.build(data=X, encoder="mlp", decoder="gaussian", latent=3) for _ in range(2)]
    for model, freeze in zip(models, ((), ("encoder", "posterior")), strict=True):
        genmod.train(model, X, freeze=freeze, **how)
    free, held = (model.state_dict() for model in models)
    for name, tensor in free.items():
        same = torch.equal(tensor, held[name])
        assert same == name.startswith(("network", "decoder", "prior")), name


def test_a_run_is_resumed_bit_for_bit(tmp_path):
    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 4:
            raise Stop

    how = {"steps": 7, "freeze": ("encoder", "posterior"), "ema": 0.9, "checkpoint_every": 1, **HOW}
    whole, first, again = codes(), codes(), codes()
    genmod.train(whole, X, directory=tmp_path / "whole", **how)
    with pytest.raises(Stop):
        genmod.train(first, X, directory=tmp_path / "part", on_event=stop, **how)
    genmod.train(again, X, directory=tmp_path / "part", resume=True)
    assert changed(again, copied(whole)) == set()
    with pytest.raises(UsageError, match="freeze"):
        genmod.train(codes(), X, directory=tmp_path / "part", resume=True, freeze=("encoder",))


def test_what_is_refused():
    model = conv()
    with pytest.raises(UsageError, match="no such part of the model to freeze: 'encodr'") as error:
        genmod.train(model, X, steps=1, freeze=("encodr",), **HOW)
    assert "encoder, posterior" in error.value.hint
    with pytest.raises(UsageError, match=r"'encoder\.layers'"):
        genmod.train(model, X, steps=1, freeze=("encoder.layers",), **HOW)
    with pytest.raises(UsageError, match="freeze is 'encoder'; it must be a list"):
        TrainSettings(freeze="encoder")
    with pytest.raises(UsageError, match="no parameters to train"):
        genmod.train(model, X, steps=1, freeze=("encoder", "posterior", "network", "decoder"), **HOW)
    assert all(parameter.requires_grad for parameter in model.parameters())
