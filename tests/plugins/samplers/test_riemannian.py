"""Sampler riemannian: its draws against quadrature, and the metric that it takes of a model."""

import pytest
import torch

import genmod
from genmod.plugins.posteriors._metric import Metric
from genmod.plugins.samplers.riemannian import Explored, RiemannianSampler


@pytest.fixture
def metric():
    """Three places, two of them near each other, of different sizes and directions."""
    centres = torch.tensor([[-1.0, 0.0], [0.3, 0.5], [2.5, -1.0]]).double()
    factors = torch.tensor([[[1.0, 0], [0.5, 0.4]], [[0.6, 0], [-0.2, 0.9]], [[1.5, 0], [0.0, 1.0]]]).double()
    return Metric(centres, factors @ factors.mT, 0.9, 0.05)


def test_draws_have_the_distribution_of_quadrature(metric):
    """Over a grid of cells, in which the density is what determinants say."""
    p = Explored(metric, 40, 0.15)
    reach = 2 * 0.9
    low, high = metric.centres.amin(0) - reach, metric.centres.amax(0) + reach
    sides = [torch.linspace(float(a), float(b), 401).double() for a, b in zip(low, high, strict=True)]
    points = torch.cartesian_prod(*((side[1:] + side[:-1]) / 2 for side in sides))
    density = 0.05 * torch.eye(2).double().expand(len(points), 2, 2).clone()
    for centre, matrix in zip(metric.centres, metric.matrices, strict=True):
        density += torch.exp(-(points - centre).square().sum(1) / 0.81)[:, None, None] * matrix
    mass = (density[:, 0, 0] * density[:, 1, 1] - density[:, 0, 1] ** 2).sqrt()
    mass = (mass / mass.sum()).reshape(5, 80, 5, 80).sum((1, 3)).flatten()
    torch.manual_seed(0)
    n = 10_000
    z = p.sample((n,))
    assert ((z >= low) & (z <= high)).all()
    cells = ((z - low) / (high - low) * 5).long().clamp(max=4)
    counts = torch.bincount(cells[:, 0] * 5 + cells[:, 1], minlength=25)
    deviation = (counts - n * mass) / (n * mass * (1 - mass)).sqrt()
    # The sum of squares is about chi-squared with 24 degrees of freedom: 51 is its quantile of 0.999.
    assert float(deviation.square().sum()) < 51


def test_it_takes_the_metric_of_the_posterior(tmp_path):
    small = {"name": "mlp", "hidden": [16]}
    model = genmod.build("rhvae", encoder=small, latent=2, settings={"posterior.centroids": 30})
    genmod.train(model, steps=20, batch_size=64, device="cpu")
    sampler = genmod.fit_sampler(model, sampler={"name": "riemannian", "transitions": 5})
    metric = model.posterior.metric()
    assert torch.equal(sampler.centres, metric.centres)
    assert torch.equal(sampler.matrices, metric.matrices.detach())
    assert (float(sampler.temperature), float(sampler.floor)) == pytest.approx((1.5, 0.01))
    other = genmod.load(genmod.save(model, tmp_path / "model"))
    assert torch.equal(other.sample(3, seed=1), model.sample(3, seed=1))


def test_another_model_gets_a_metric_of_its_codes(tmp_path):
    model = genmod.build("autoencoder", encoder={"name": "mlp", "hidden": [16]}, latent=2)
    sampler = genmod.fit_sampler(model, sampler={"name": "riemannian", "transitions": 5, "centroids": 40})
    assert sampler.centres.shape == (40, 2)
    other = genmod.load(genmod.save(model, tmp_path / "model"))
    assert torch.equal(other.sample(3, seed=1), model.sample(3, seed=1))


def test_one_code_alone():
    sampler = RiemannianSampler((2,), transitions=3)
    sampler.fit(torch.ones(1, 2))
    assert sampler().sample((4,)).isfinite().all()
