"""The constraint on the distortion: its multiplier moves with the trainer's steps, and is part of the model."""

import math
from itertools import pairwise

import pytest
import torch

from genmod import Batch, DataInfo, Dataset, TensorSplit, UsageError, compose, load, train
from genmod.model.assembly import assemble, blueprint
from genmod.plugins.objectives.geco import GECO
from genmod.testing.reference import DATA

INFO = DataInfo((6,), low=-1.0, high=1.0)


def small(divergence="kl", **options):
    components = {
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "gaussian", "scale": 0.5},
        "divergence": divergence,
        "objective": {"name": "geco", **options},
    }
    return compose(components=components, latent=3)


class _Noise(Dataset):
    info = INFO

    def split(self, name):
        drawn = torch.rand(96, 6, generator=torch.Generator().manual_seed(len(name)))
        return TensorSplit(Batch(2 * drawn - 1))


def test_value_is_the_negative_elbo_and_gradient_that_of_the_lagrangian(model_of, x):
    model = model_of(GECO(target=0.5))
    model.objective.log_multiplier.fill_(math.log(3.0))
    terms = model.terms(x)
    torch.testing.assert_close(terms.loss, -terms.values["elbo"].mean())
    parameters = list(model.parameters())
    found = torch.autograd.grad(terms.loss, parameters, retain_graph=True)
    lagrangian = (terms.values["rate"] + 3 * terms.values["distortion"]).mean()
    for a, b in zip(found, torch.autograd.grad(lagrangian, parameters), strict=True):
        torch.testing.assert_close(a, b)
    assert terms.values["multiplier"].tolist() == pytest.approx([3.0, 3.0])


def test_multiplier_follows_the_running_mean_of_the_excess(model_of, x):
    """By hand: ``c ← 0.8 c + 0.2 excess``, ``λ ← λ exp(0.5 c)``, two parts of a batch being one step."""
    model = model_of(GECO(target=0.1, speed=0.5, momentum=0.8))
    mean, log_multiplier = 0.0, 0.0
    for _ in range(3):
        excesses = [model.terms(x).values["distortion"].mean().item() / DATA.size - 0.1 for _ in range(2)]
        assert model.objective.log_multiplier.item() == pytest.approx(log_multiplier)
        model.objective.after_step()
        mean = 0.8 * mean + 0.2 * sum(excesses) / 2
        log_multiplier += 0.5 * mean
        assert model.objective.log_multiplier.item() == pytest.approx(log_multiplier)


def test_validation_moves_nothing(model_of, x):
    model = model_of(GECO()).eval()
    before = {name: buffer.clone() for name, buffer in model.objective.named_buffers()}
    model.terms(x)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.objective.named_buffers())


@pytest.mark.parametrize(("target", "sign"), [(-5.0, 1), (50.0, -1)])
def test_training_raises_the_multiplier_until_the_constraint_holds(target, sign, tmp_path):
    """It is reported, and comes back with the model."""
    data = _Noise(tmp_path)
    model = assemble(small(target=target), INFO)
    result = train(
        model, data, directory=tmp_path / "model", steps=12, batch_size=32, log_every=1, device="cpu"
    )
    logged = [row["multiplier"] for row in result.rows if row["split"] == "train"]
    assert logged[0] == 1.0
    assert all(sign * (b - a) > 0 for a, b in pairwise(logged))
    last = load(tmp_path / "model", weights="last").objective.log_multiplier
    assert sign * last.item() > sign * math.log(logged[-1])


def test_needs_a_divergence():
    with pytest.raises(UsageError, match="divergence"):
        blueprint(small(divergence="none"), INFO)
