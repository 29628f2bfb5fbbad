"""Recipes of autoencoders with other decoders and priors: names, numbers of their papers, and that they learn."""

import math
import shlex
from pathlib import Path

import pytest
import torch

import genmod
from genmod import compose
from genmod.cli import main
from genmod.model.assembly import assemble, open_dataset
from genmod.plugins import recipes
from genmod.plugins.datasets.digits import Digits
from genmod.plugins.encoders.mlp import MlpEncoder
from genmod.registry.lookup import Registry

NAMES = ["rae-sn", "sigma-vae", "ms-ssim-vae", "gm-vae", "zinb-vae"]
SMALL = {"name": "mlp", "hidden": [32]}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in ("rae-sn", "zinb-vae"))) for name in NAMES],
)
def test_learns_from_its_own_data(name):
    spec = compose(name, components={"encoder": SMALL} if name != "zinb-vae" else {})
    data = open_dataset(spec)
    model = assemble(spec, data.info)
    result = genmod.train(model, data, steps=40, batch_size=64, lr=3e-3, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0] - 1e-3 * abs(losses[0])
    assert all(torch.isfinite(p).all() for p in model.parameters())
    if name != "rae-sn":
        assert model.sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("vampprior-vae", "vamp-vae"),
        ("svae", "s-vae"),
        ("cat-vae", "categorical-vae"),
        ("vade", "gm-vae"),
    ],
)
def test_other_names(alias, name):
    assert compose(alias) == compose(name)
    assert compose(alias).recipe == name


def test_there_is_one_for_every_name_that_people_ask_for():
    asked = (
        "vae beta-vae burgess-beta-vae beta-tcvae dip-vae-i dip-vae-ii infovae wae-mmd swae iwae dreg-iwae miwae piwae "
        "ciwae rae-l2 rae-gp rae-sn autoencoder denoising-ae contractive-ae vampprior-vae gm-vae svae cat-vae sigma-vae "
        "ms-ssim-vae zinb-vae"
    )
    registry = Registry(third_party=False)
    assert all(
        "arXiv" in (text := registry.find("recipe", name).text()) or "paper" in text for name in asked.split()
    )


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("rae-sn", "network.spectral_norm", True),
        ("rae-sn", "objective.latent_penalty", 0.01),
        ("sigma-vae", "decoder.scale", "optimal"),
        ("gm-vae", "prior.components", 10),
        ("zinb-vae", "encoder.hidden", [128]),
        ("zinb-vae", "decoder.dispersion", "per-dimension"),
    ],
)
def test_numbers_of_the_papers(name, path, expected):
    kind, option = path.split(".")
    assert compose(name).components[kind].options[option] == expected


@pytest.mark.slow
def test_the_scale_of_sigma_vae_is_the_root_mean_squared_error():
    spec = compose("sigma-vae", components={"encoder": SMALL})
    data = open_dataset(spec)
    model = assemble(spec, data.info)
    genmod.train(model, data, steps=500, batch_size=128, lr=3e-3, device="cpu")
    x = data.info.values(data.split("train").in_memory().x)
    with torch.no_grad():
        z = model.encode(x).sample()
        error = (model.decode(z).mean - x).square().mean().sqrt().item()
    assert model.decoder.mean_square.sqrt().item() == pytest.approx(error, rel=0.1)
    assert error < 0.25


def test_digits_as_counts():
    levels, counts = Digits(None), Digits(None, counts=True)
    info = counts.info
    assert (info.low, info.high, info.counts, info.levels) == (0, 16, True, None)
    for name in ("train", "validation", "test"):
        a, b = levels.split(name).in_memory().x, counts.split(name).in_memory().x
        torch.testing.assert_close(info.values(b), 16 * levels.info.values(a))
    x = info.values(counts.split("train").in_memory().x)
    assert (x == x.round()).all()
    assert x.max() == 16


def test_compressed_counts_of_all_sizes_are_told_apart():
    encoder = MlpEncoder((2,), hidden=[8], compress=True).double()
    plain = MlpEncoder((2,), hidden=[8]).double()
    plain.load_state_dict(encoder.state_dict())
    x = torch.tensor([[0.0, 1e6], [3.0, -20.0]], dtype=torch.float64)
    torch.testing.assert_close(encoder(x), plain(torch.asinh(x)))
    assert encoder(x).abs().max() < 20 * math.log(2e6)


@pytest.mark.slow
def test_settings_of_training_that_recipes_name_can_be_typed(tmp_path):
    """Those of the papers, in comments; one step of a small model."""
    folder = Path(recipes.__file__).parent
    lines = {
        line
        for file in folder.glob("*.toml")
        for line in file.read_text().splitlines()
        if "genmod train" in line
    }
    assert lines
    for i, line in enumerate(sorted(lines)):
        place = genmod.save(genmod.build(encoder="mlp", latent=2), tmp_path / str(i))
        words = shlex.split(line.partition("genmod train")[2])
        with pytest.raises(SystemExit) as exit:
            main(["train", str(place), *words, "--steps", "1"])
        assert exit.value.code == 0
