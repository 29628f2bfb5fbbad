"""What is saved can be loaded: of every kind of model, whatever was done to it."""

import pytest
import torch
from torch import nn

import genmod
from genmod import UsageError

RECIPES = ["vae", "vq-vae", "autoencoder", "factor-vae", "cvae", "joint-vae", "hvae-2", "vamp-vae", "nsf-vae"]


def small(recipe="vae", **more):
    return genmod.build(recipe, encoder="mlp", settings={"encoder.hidden": [8]}, **more)


CHANGES = {
    "nothing": lambda model: None,
    "replaced": lambda model: setattr(model, "encoder", nn.Flatten()),
    "grown": lambda model: setattr(model.encoder, "more", nn.Linear(2, 2)),
    "shrunk": lambda model: setattr(model.posterior, "head", nn.Linear(8, 4, bias=False)),
    "normed": lambda model: nn.utils.parametrizations.weight_norm(model.posterior.head),
    "half": lambda model: model.half(),
    "mixed": lambda model: model.encoder.double(),
    "bfloat": lambda model: model.network.bfloat16(),
    "frozen": lambda model: model.encoder.requires_grad_(False),
    "tied": lambda model: setattr(model.encoder, "more", model.posterior.head),
}


REFUSED = ("replaced", "grown", "shrunk", "normed", "tied", "mixed", "bfloat")


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_saved_is_loaded_or_it_is_not_saved(change, tmp_path):
    model = small(latent=2)
    CHANGES[change](model)
    if change in REFUSED:
        with pytest.raises(UsageError, match="cannot be saved"):
            genmod.save(model, tmp_path / "m")
        assert not (tmp_path / "m").exists()
        return
    genmod.save(model, tmp_path / "m")
    loaded = genmod.load(tmp_path / "m")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
        assert tensor.dtype == loaded.state_dict()[name].dtype


@pytest.mark.parametrize(
    "recipe", [RECIPES[0], *(pytest.param(r, marks=pytest.mark.slow) for r in RECIPES[1:])]
)
def test_models_of_recipes_are_saved_and_loaded(recipe, tmp_path):
    model = genmod.build(recipe)
    genmod.train(model, steps=2, device="cpu", directory=tmp_path / "m")
    loaded = genmod.load(tmp_path / "m")
    assert all(torch.equal(t, loaded.state_dict()[name]) for name, t in model.state_dict().items())


def test_a_foreign_model_whose_parts_were_replaced_is_not_saved(tmp_path):
    model = small(latent=2, network=nn.Linear(2, 64))
    genmod.save(model, tmp_path / "m")
    model.encoder = nn.Flatten()
    with pytest.raises(UsageError, match="its encoder is a Flatten"):
        genmod.save(model, tmp_path / "n")
