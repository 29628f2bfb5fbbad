"""Whole models: their densities against enumeration and against the Jacobian of their maps; their life on disk."""

import math
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal

import genmod
from genmod import Batch, DataInfo, ModelSpec, TensorSplit, UndefinedError, UsageError
from genmod.plugins.models.flow import FlowModel
from genmod.plugins.models.pixelcnn import PixelCNNModel
from genmod.testing.inputs import jostle

BINARY = DataInfo((2, 2, 2), levels=2, classes=("a", "b"))
SMALL = {
    "flow": {"transforms": 2, "hidden": [8], "kind": "realnvp"},
    "pixelcnn": {"channels": 4, "layers": 2},
}


def every_picture():
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 8).reshape(-1, 2, 2, 2).double()


@pytest.mark.parametrize("condition", [None, "a", "b"])
def test_probabilities_of_all_pictures_sum_to_one(condition):
    spec = ModelSpec(condition=("label",) if condition else ())
    model = PixelCNNModel(spec, BINARY, channels=4, layers=2).double()
    jostle(model)
    x = every_picture()
    with torch.no_grad():
        total = model.log_weights(x, 1, model.asked(condition, len(x))).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-12)


def test_a_value_depends_on_those_before_it_alone():
    """The conditional probabilities that the chain rule takes out of the enumerated joint one are those of draws in turn."""
    model = PixelCNNModel(ModelSpec(), BINARY, channels=4, layers=2).double()
    jostle(model)
    x = every_picture()
    with torch.no_grad():
        p = model.log_weights(x)[0].exp()
        flat = x.permute(0, 2, 3, 1).flatten(1)  # in the order of draws: the channels of a pixel side by side
        logits = model.pixels.logits(flat.long(), None)
    for i in range(8):
        alike = (flat[:, None, :i] == flat[None, :, :i]).all(-1).double()
        given = alike @ (p * flat[:, i]) / (alike @ p)
        torch.testing.assert_close(logits.softmax(-1)[:, i, 1], given, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["maf", "nsf", "realnvp"])
@pytest.mark.parametrize("data", [DataInfo((3,), -math.inf, math.inf), DataInfo((3,), -1.0, 3.0, levels=5)])
def test_the_density_of_a_draw_is_that_of_its_noise_over_the_jacobian(kind, data):
    model = FlowModel(ModelSpec(), data, kind=kind, transforms=2, hidden=[8]).double()
    jostle(model)
    with torch.no_grad():
        model.standard.prepare(
            2.0 + torch.randn(50, 3).double() if data.levels is None else torch.randint(5, (50, 3))
        )

    def carried(noise):
        y = noise[None]
        for each in model.maps.maps(None):
            y = each.forward(y)[0]
        x = model.standard.mean + model.standard.scale * y[0]
        # The cells of levels -1, 0, …, 3 reach from -1.5 to 3.5.
        return x if data.levels is None else -1.5 + 5 * x.sigmoid()

    for noise in torch.randn(4, 3).double():
        x = carried(noise)
        jacobian = torch.autograd.functional.jacobian(carried, noise)
        wanted = Normal(0.0, 1.0).log_prob(noise).sum() - jacobian.det().abs().log()
        torch.testing.assert_close(model.log_weights(x[None])[0, 0], wanted, rtol=1e-7, atol=1e-7)


def test_levels_are_spread_over_cells_and_drawn_as_levels():
    data = DataInfo((1, 2, 2), levels=5)
    model = FlowModel(ModelSpec(), data, transforms=1, hidden=[8])
    seen = model.observe(torch.tensor([[[[0, 1], [2, 4]]]], dtype=torch.uint8))
    middle = torch.tensor([[[[0.0, 0.25], [0.5, 1.0]]]])
    assert ((seen - middle).abs() <= 0.125).all()
    assert not torch.equal(seen, middle)
    made, noisy = (model.sample(50, seed=1, noise=noise) for noise in (False, True))
    assert torch.equal(made * 4, (made * 4).round())
    assert ((made - noisy).abs() <= 0.125 + 1e-6).all()
    assert not torch.equal(made, noisy)


def test_training_data_are_standardised():
    x = 5 + 3 * torch.randn(500, 2)
    model = genmod.build(model={"name": "flow", **SMALL["flow"]}, data=x)
    genmod.train(model, x, steps=1, device="cpu")
    torch.testing.assert_close(model.standard.mean, torch.full((2,), 5.0), atol=0.5, rtol=0)
    torch.testing.assert_close(model.standard.scale, torch.full((2,), 3.0), atol=0.4, rtol=0)


@pytest.mark.parametrize("name", ["flow", pytest.param("pixelcnn", marks=pytest.mark.slow)])
def test_saved_resumed_and_sampled_as_any_model(name, tmp_path):
    def made():
        return genmod.build(model={"name": name, **SMALL[name]}, condition="label", seed=3)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 2:
            raise Stop

    how = {"steps": 5, "batch_size": 16, "log_every": 1, "device": "cpu", "film_every": 0}
    genmod.train(made(), directory=tmp_path / "whole", **how)
    with pytest.raises(Stop):
        genmod.train(made(), directory=tmp_path / "halves", on_event=stop, **how)
    genmod.train(genmod.load(tmp_path / "halves", weights="last"), directory=tmp_path / "halves", resume=True)
    whole, halves = (genmod.load(tmp_path / each, weights="last") for each in ("whole", "halves"))
    for one, other in zip(whole.state_dict().values(), halves.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(whole.sample(2, seed=1, condition="3"), halves.sample(2, seed=1, condition="3"))
    found = genmod.evaluate(whole, "digits", ["elbo", "nll[3]", "active-units"])
    assert found["elbo"].value == pytest.approx(-found["nll[3]"].value, abs=1e-4)
    assert "no latents" in found.undefined["active-units"]
    assert "no latents" in found.undefined["rate"]


def test_it_is_called_by_its_name_and_built_by_its_command():
    from genmod.model.summary import summarize
    from genmod.report.commands import build_command

    model = genmod.build(model={"name": "pixelcnn", **SMALL["pixelcnn"]})
    assert summarize(model).recipe == "model pixelcnn"
    line = build_command(model.spec, model.data, Path("m"))
    assert line == "genmod build --model pixelcnn -s model.channels=4 -s model.layers=2 -o m"


def test_what_needs_latents_is_refused_with_the_reason():
    model = genmod.build(model={"name": "pixelcnn", **SMALL["pixelcnn"]})
    assert not hasattr(model, "encoder")
    assert not hasattr(model, "no_such_thing")
    for ask in (
        lambda: model.encode(torch.zeros(1, 1, 8, 8)),
        lambda: model.latent_shape,
        lambda: model.sample(1, source="prior"),
        lambda: genmod.fit_sampler(model, "gmm"),
    ):
        with pytest.raises(UndefinedError, match="model 'pixelcnn' has no latents"):
            ask()
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = model.no_such_thing


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"model": "flow", "encoder": "mlp"}, "model 'flow' is whole: encoder cannot be chosen"),
        ({"model": "flow", "latent": 3}, "'flow' has no latents, and --latent is 3"),
        ({"model": "flow", "settings": {"prior.scale": 1}}, "no such option: prior.scale"),
        ({"model": "no-such"}, "no-such"),
        ({"model": FlowModel(ModelSpec(), DataInfo((2,), -math.inf, math.inf), hidden=[4])}, "a name"),
        ({"model": "pixelcnn", "data": torch.randn(9, 3)}, "pictures of 2 to 256 levels"),
        ({"model": "flow", "data": torch.poisson(torch.ones(9, 3)).long()}, "are counts"),
    ],
)
def test_what_does_not_fit_is_refused(how, match):
    with pytest.raises(UsageError, match=match):
        genmod.build(**how)


def test_a_model_of_ones_own_without_a_specification_is_not_saved(tmp_path):
    model = FlowModel(ModelSpec(), DataInfo((2,), -math.inf, math.inf), hidden=[4])
    with pytest.raises(UsageError, match="names no model that could be loaded"):
        genmod.save(model, tmp_path / "m")


def test_numbers_that_no_probability_has_are_noticed(monkeypatch):
    model = genmod.build(model={"name": "pixelcnn", **SMALL["pixelcnn"]})
    right = PixelCNNModel.log_weights
    monkeypatch.setattr(PixelCNNModel, "log_weights", lambda self, *given: right(self, *given) + 1000)
    split = TensorSplit(Batch(torch.zeros(9, 1, 8, 8)))
    found = genmod.evaluate(model, split, "elbo")
    assert "cannot be positive" in found["elbo"].details["impossible"]
    assert "model 'pixelcnn'" in found["elbo"].details["impossible"]
