"""The distance against closed forms, scipy and plain loops; statistics of several processes; a model that learns."""

import doctest
import math

import genmod_energy.divergence as module
import numpy as np
import pytest
import torch
from genmod_energy.divergence import Energy, energy_distance
from scipy import stats

import genmod
from genmod import diagonal_normal


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(mean, scale, batch=()):
    return diagonal_normal(torch.full((*batch, 1), mean), torch.full((*batch, 1), math.log(scale)), 1)


def folded(mean, spread):
    """``E|X|`` of ``X ~ N(mean, spread²)``."""
    return stats.foldnorm(abs(mean) / spread, scale=spread).mean()


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (1.5, 1.0), (0.3, 0.4), (-2.0, 3.0)])
def test_its_mean_is_the_distance_of_two_normals(mean, scale):
    """``2 E|X - Y| - E|X - X'| - E|Y - Y'|``, each of a normal, within the error of the simulation."""
    expected = 2 * folded(mean, math.hypot(scale, 1)) - folded(0, scale * 2**0.5) - folded(0, 2**0.5)
    z, y = mean + scale * torch.randn(4000, 24, 1), torch.randn(4000, 24, 1)
    found = energy_distance(z, y).double()
    error = found.std().item() / len(found) ** 0.5
    assert abs(found.mean().item() - expected) < 4 * error
    assert (expected == pytest.approx(0, abs=1e-12)) == ((mean, scale) == (0.0, 1.0))


def test_pairs_one_by_one():
    z, y = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    for k, found in enumerate(energy_distance(z, y).tolist()):
        a, b = z[k].double().numpy(), y[k].double().numpy()
        across = np.mean([np.linalg.norm(i - j) for i in a for j in b])
        within = sum(
            np.mean([np.linalg.norm(each[i] - each[j]) for i in range(5) for j in range(5) if i != j])
            for each in (a, b)
        )
        assert found == pytest.approx(2 * across - within, rel=1e-5)


def test_with_the_pairs_of_a_draw_with_itself_it_is_that_of_scipy():
    n = 200
    z, y = 0.5 + torch.randn(1, n, 1), torch.randn(1, n, 1)
    within = sum((each - each.mT).abs().sum() / (n * (n - 1)) for each in (z, y)).item()
    biased = energy_distance(z, y).item() + within / n
    assert biased == pytest.approx(
        stats.energy_distance(z.flatten().numpy(), y.flatten().numpy()) ** 2, rel=1e-4
    )


def test_a_value_for_each_example_of_one_batch():
    q, p = normal(0.5, 1.0, (6,)), normal(0.0, 1.0)
    found = Energy(weight=3.0)(q, p, q.rsample((2,)))
    assert found.shape == (6,)
    assert found.unique().numel() == 1
    one = normal(0.5, 1.0, (1,))
    assert Energy()(one, p, one.rsample((2,))).tolist() == [0.0]


def test_several_processes_give_the_number_of_the_whole_batch(monkeypatch):
    """Each has half of the examples; what the other has is gathered."""
    z, y = torch.randn(3, 8, 2), torch.randn(3, 8, 2)

    class Prior:
        batch_shape = ()
        has_rsample = True

        def __init__(self, draws):
            self.draws = draws

        def rsample(self, shape):
            assert shape == self.draws.shape[:2]
            return self.draws

    whole = Energy()(None, Prior(y), z)
    rest = iter([z[:, 4:], y[:, 4:]])
    monkeypatch.setattr(module, "gather_batch", lambda mine: torch.cat([mine, next(rest).transpose(0, 1)]))
    half = Energy()(None, Prior(y[:, :4]), z[:, :4])
    torch.testing.assert_close(half, whole[:4])


def test_descent_brings_latents_to_the_prior():
    """In the mean and in the spread; nothing else is minimised."""
    loc, log_scale = torch.tensor([3.0], requires_grad=True), torch.tensor([-1.5], requires_grad=True)
    optimizer = torch.optim.Adam([loc, log_scale], lr=0.05)
    divergence, p = Energy(), normal(0.0, 1.0)
    for _ in range(300):
        q = diagonal_normal(loc.expand(64, 1), log_scale.expand(64, 1), 1)
        optimizer.zero_grad()
        divergence(q, p, q.rsample((1,))).mean().backward()
        optimizer.step()
    assert abs(loc.item()) < 0.2
    assert abs(log_scale.item()) < 0.2


def test_a_gradient_where_draws_are_the_same():
    z = torch.zeros(1, 4, 2, requires_grad=True)
    energy_distance(z, torch.zeros(1, 4, 2)).sum().backward()
    assert z.grad.isfinite().all()


def test_a_model_with_it_learns_and_a_learned_prior_without_gradient_is_refused():
    model = genmod.build(divergence="energy", encoder="mlp", latent=2)
    result = genmod.train(model, steps=60, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0] - 1
    with pytest.raises(genmod.UndefinedError, match="cannot be differentiated"):
        genmod.build(divergence="energy", prior="vamp", encoder="mlp", latent=2)


def test_examples_of_the_docstrings():
    assert doctest.testmod(module).failed == 0
