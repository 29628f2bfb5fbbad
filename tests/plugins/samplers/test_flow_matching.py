"""Flow matching: the solver's order, densities against closed forms and quadrature, draws against the codes."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.stats import ks_2samp
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genmod.plugins.samplers._carried import Carried, runge_kutta
from genmod.plugins.samplers._velocity import MapNetwork, VectorNetwork
from genmod.plugins.samplers.flow_matching import FlowMatchingSampler


def swirl(y, t):
    """Turns, stretches and drifts, differently at each time and place."""
    return torch.stack([torch.sin(3 * y[:, 1]) * (1 + t), y[:, 0] * math.cos(5 * t) - y[:, 1] ** 2 / 4], 1)


def test_the_solver_is_of_fourth_order():
    y = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double()

    def velocity(t, flat):
        return swirl(torch.from_numpy(flat.reshape(5, 2)), t).numpy().reshape(-1)

    solved = solve_ivp(velocity, (0, 1), y.numpy().reshape(-1), method="DOP853", rtol=1e-12, atol=1e-12)
    exact = torch.from_numpy(solved.y[:, -1].reshape(5, 2))
    errors = [float((runge_kutta(swirl, y, 0.0, 1.0, n) - exact).abs().max()) for n in (20, 40, 80)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert errors[-1] < 1e-6
    assert all(3.7 < order < 4.3 for order in orders), orders


@pytest.fixture(scope="module")
def truth():
    """A correlated normal in three dimensions."""
    factor = torch.tensor([[1.0, 0, 0], [0.8, 0.5, 0], [-0.3, 0.9, 0.4]]).double()
    return MultivariateNormal(torch.tensor([2.0, -1.0, 0.5]).double(), factor @ factor.T)


@pytest.fixture(scope="module")
def exact(truth):
    """The velocity that carries a standard normal to it along straight lines, in closed form."""
    mean, covariance = truth.mean, truth.covariance_matrix

    def velocity(y, t):
        within = (1 - t) ** 2 * torch.eye(3).double() + t**2 * covariance
        gain = (t * covariance - (1 - t) * torch.eye(3).double()) @ torch.linalg.inv(within)
        return mean + (y - t * mean) @ gain.T

    return Carried(velocity, torch.zeros(3).double(), 50)


def test_the_density_of_an_exact_velocity_is_the_closed_form(truth, exact):
    points = truth.sample((50,))
    torch.testing.assert_close(exact.log_prob(points), truth.log_prob(points), rtol=0, atol=1e-5)


def test_draws_of_an_exact_velocity_have_its_moments(truth, exact):
    torch.manual_seed(0)
    z = exact.sample((20_000,))
    torch.testing.assert_close(z.mean(0), truth.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(z.T.cov(), truth.covariance_matrix, rtol=0, atol=0.04)


def test_the_gradient_of_a_density_is_that_of_the_closed_form(truth, exact):
    points = truth.sample((4,))
    assert not exact.log_prob(points).requires_grad
    points.requires_grad_()
    (found,) = torch.autograd.grad(exact.log_prob(points).sum(), points)
    (wanted,) = torch.autograd.grad(truth.log_prob(points).sum(), points)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_of_many_latents_the_divergence_is_estimated():
    """Of ``v = A y`` the estimate is ``tr A`` and what the signs make of the rest of A, which is known exactly."""
    size, fixed = 80, torch.Generator().manual_seed(1)
    matrix = 0.05 * torch.randn(size, size, generator=fixed).double()
    p = Carried(lambda y, t: y @ matrix.T, torch.zeros(size).double(), 20)
    y = torch.randn(3, size, generator=fixed).double()
    start = y @ torch.linalg.matrix_exp(-matrix).T
    normal = -0.5 * start.square().sum(1) - 0.5 * size * math.log(2 * math.pi)
    found = p.log_prob(y) - normal
    assert torch.equal(found, p.log_prob(y) - normal), "another estimate each time"
    torch.testing.assert_close(found, found[:1].expand(3), rtol=0, atol=1e-6)
    # The variance of one probe is that of its off-diagonal part, ½ ‖A + Aᵀ‖².
    off = matrix + matrix.T - torch.diag(2 * matrix.diagonal())
    error = math.sqrt(0.5 * float(off.square().sum()) / 16)
    assert abs(float(found[0]) + float(matrix.trace())) < 4 * error
    # Where there is no rest it is exact.
    diagonal = Carried(lambda y, t: 0.3 * y, torch.zeros(size).double(), 20)
    wanted = -0.5 * (math.exp(-0.3) * y).square().sum(1) - 0.5 * size * math.log(2 * math.pi) - 0.3 * size
    torch.testing.assert_close(diagonal.log_prob(y), wanted, rtol=1e-7, atol=0)


def test_before_it_is_fitted_it_is_a_standard_normal():
    """The network adds nothing at first: what is left carries a normal to a normal, with the noise that codes get."""
    p = FlowMatchingSampler((4,)).double()()
    z = torch.randn(20, 4).double()
    normal = torch.distributions.Normal(0.0, math.sqrt(1 + 0.01**2))
    torch.testing.assert_close(p.log_prob(z), normal.log_prob(z).sum(1), rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def mixture():
    """Three normals in a plane, in units of their own, and a sampler fitted to 4,000 draws of them."""
    weights = Categorical(torch.tensor([0.5, 0.3, 0.2]))
    loc = torch.tensor([[0.0, 50.0], [4.0, 10.0], [8.0, 60.0]])
    covariance = torch.tensor(
        [[[1.0, 5.0], [5.0, 60.0]], [[2.0, 0.0], [0.0, 30.0]], [[0.5, -2.0], [-2.0, 40.0]]]
    )
    truth = MixtureSameFamily(weights, MultivariateNormal(loc, covariance))
    torch.manual_seed(5)
    codes = truth.sample((4000,))
    sampler = FlowMatchingSampler((2,), hidden=[64, 64, 64], steps=1000, batch=400, lr=1e-2)
    sampler.fit(codes, seed=1)
    return truth, sampler.eval()


@torch.no_grad()
@pytest.mark.slow
def test_a_mixture_is_learned(mixture):
    truth, sampler = mixture
    others = truth.sample((1000,))
    # The KL of the truth from what was fitted.
    kl = (truth.log_prob(others) - sampler().log_prob(others)).mean()
    assert -0.02 < float(kl) < 0.08


@torch.no_grad()
@pytest.mark.slow
def test_its_density_has_the_mass_one(mixture):
    _, sampler = mixture
    x, y = torch.linspace(-8, 16, 61), torch.linspace(-40, 120, 61)
    points = torch.cartesian_prod(x, y)
    mass = sampler().log_prob(points).exp().sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert abs(float(mass) - 1) < 5e-3


@torch.no_grad()
@pytest.mark.slow
def test_draws_have_the_distribution_of_the_codes(mixture):
    truth, sampler = mixture
    torch.manual_seed(9)
    z, codes = sampler().sample((700,)), truth.sample((700,))
    for direction in np.linspace(0, math.pi, 5, endpoint=False):
        along = torch.tensor([math.cos(direction), math.sin(direction) / 10])
        assert ks_2samp((z @ along).numpy(), (codes @ along).numpy()).pvalue > 1e-3


def test_maps_have_convolutions_and_vectors_have_none():
    assert isinstance(FlowMatchingSampler((2, 4, 4)).network, MapNetwork)
    assert all(
        isinstance(FlowMatchingSampler(shape).network, VectorNetwork) for shape in ((8,), (3, 4), (5, 1, 1))
    )


@pytest.mark.slow
def test_maps_are_learned():
    """Neighbouring places that are alike are alike in what is drawn."""
    fixed = torch.Generator().manual_seed(2)
    rough = torch.randn(600, 1, 2, 2, generator=fixed)
    codes = torch.nn.functional.interpolate(rough, scale_factor=2) * 3 + 1
    codes = codes + 0.3 * torch.randn(codes.shape, generator=fixed)
    sampler = FlowMatchingSampler((1, 4, 4), hidden=[16, 16], steps=600, batch=64, lr=1e-2)
    sampler.fit(codes, seed=0)
    torch.manual_seed(0)
    z = sampler.eval()().sample((1000,))
    assert z.shape == (1000, 1, 4, 4)
    seen, wanted = (each.flatten(1).T.corrcoef() for each in (z, codes))
    assert float((seen - wanted).abs().max()) < 0.25
    density = sampler().log_prob(codes[:8])
    assert density.shape == (8,)
    assert density.isfinite().all()


def test_steps_are_told_and_the_best_weights_kept():
    progress = []
    sampler = FlowMatchingSampler((2,), hidden=[8], steps=30)
    sampler.fit(torch.randn(100, 2), seed=1, on_step=lambda done, of: progress.append((done, of)))
    assert progress[-1] == (30, 30)
    assert [done for done, _ in progress] == list(range(1, 31))
