"""Wrapped normals on the Poincaré ball."""

import math

import pytest
import torch
from torch.distributions import Normal

from genmod import UsageError, build
from genmod.plugins.posteriors._ball import PoincareBall, distance_and_log, exp_from
from genmod.plugins.posteriors.wrapped_normal import WrappedNormal, WrappedNormalPosterior
from genmod.plugins.priors.wrapped_normal import WrappedNormalPrior

CASES = [
    (1.0, (0.0, 0.0), (1.0, 1.0)),
    (1.0, (0.6, -0.5), (0.8, 0.3)),
    (0.2, (1.5, 0.9), (1.2, 0.6)),
    (4.0, (0.1, 0.45), (0.4, 0.5)),
]


def wrapped(c, loc, scale):
    return WrappedNormal(torch.tensor(loc).double(), torch.tensor(scale).double().log(), c)


@pytest.mark.parametrize(
    "case", [*CASES[:2], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[2:])], ids=str
)
def test_density_integrates_to_one(case):
    """Over the coordinates of the disc, so that their area is what the density refers to."""
    points, weights = PoincareBall(case[0]).quadrature((2,), 0)
    assert (wrapped(*case).log_prob(points).exp() * weights).sum().item() == pytest.approx(1, abs=1e-4)
    assert weights.sum().item() == pytest.approx(math.pi / case[0], rel=1e-4)


@pytest.mark.parametrize(
    "case", [*CASES[2:], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[:2])], ids=str
)
def test_draws_have_the_density(case):
    points, weights = PoincareBall(case[0]).quadrature((2,), 0)
    p = wrapped(*case)
    mass, draws = p.log_prob(points).exp() * weights, p.sample((50_000,))
    for f in (lambda z: z[:, 0], lambda z: z[:, 1], lambda z: z[:, 0] * z[:, 1], lambda z: z.square().sum(1)):
        seen, expected = f(draws), (f(points) * mass).sum()
        assert (seen.mean() - expected).abs() < 4.5 * seen.std() / 50_000**0.5 + 1e-5


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("c", [0.3, 1.0, 2.5])
def test_density_against_the_determinant(c, d):
    """``log N(v) - log |det dz/dv|``, the determinant by automatic differentiation."""
    loc = exp_from(torch.zeros(d), torch.randn(d), c)
    log_scale, v = 0.3 * torch.randn(d, dtype=torch.float64), torch.randn(d, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: exp_from(loc, v, c), v)
    expected = Normal(0.0, log_scale.exp()).log_prob(v).sum() - torch.linalg.slogdet(jacobian)[1]
    ours = WrappedNormal(loc, log_scale, c).log_prob(exp_from(loc, v, c))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("c", [0.3, 1.0, 2.5])
def test_geodesics(c):
    """Distances by arcosh; a step of a length goes that far, and comes back as itself."""
    a, b = (exp_from(torch.zeros(200, 4), torch.randn(200, 4), c) for _ in range(2))
    far, step = distance_and_log(a, b, c)
    ratio = (a - b).square().sum(-1) / ((1 - c * a.square().sum(-1)) * (1 - c * b.square().sum(-1)))
    torch.testing.assert_close(far, (1 + 2 * c * ratio).acosh() / c**0.5)
    torch.testing.assert_close(far, step.norm(dim=-1))
    torch.testing.assert_close(exp_from(a, step, c), b)
    assert distance_and_log(a, a, c)[0].abs().max() < 1e-9


def test_without_curvature_it_is_a_normal_of_half_the_scale():
    p = WrappedNormal(torch.tensor([0.3, -0.2]).double(), torch.tensor([0.1, -0.4]).double(), 1e-8)
    z = torch.randn(20, 2, dtype=torch.float64)
    flat = Normal(p.loc, 0.5 * p.log_scale.exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(p.log_prob(z), flat, rtol=1e-5, atol=1e-5)


def test_single_precision_agrees_with_double():
    """At a distance of 8, with the least scale and with a usual one."""
    torch.manual_seed(1)
    direction = torch.nn.functional.normalize(torch.randn(300, 3), dim=-1)
    loc = exp_from(torch.zeros(300, 3), 8 * direction, 1.0).float()
    for log_scale, off in ((-4.0, 0.3), (0.0, 0.05)):
        p = WrappedNormal(loc, torch.full((300, 3), log_scale), 1.0)
        exact = WrappedNormal(loc.double(), p.log_scale.double(), 1.0)
        torch.manual_seed(2)
        step = torch.randn(300, 3) * math.exp(log_scale)
        z = exp_from(loc, step, 1.0)
        assert (p.log_prob(z.float()) - exact.log_prob(z)).abs().quantile(0.95) < off
        # What is lost is lost in the point alone.
        here = exact.log_prob(z.float().double())
        torch.testing.assert_close(p.log_prob(z.float()), here.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 100.0, 1e5])
def test_draws_stay_inside_with_finite_densities_and_gradients(size):
    part = WrappedNormalPosterior((7,), (5,))
    features = (size * torch.randn(200, 7)).requires_grad_()
    q = part(features)
    z = q.rsample((3,))
    density = q.log_prob(z) + WrappedNormalPrior((5,))().log_prob(z)
    density.sum().backward()
    assert part.support.check(z).all()
    assert density.isfinite().all()
    assert features.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in part.parameters())


def test_gradient_at_the_centre_is_finite():
    z = torch.zeros(2, 3, requires_grad=True)
    WrappedNormalPrior((3,))().log_prob(z).sum().backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("objective", ["elbo", "stl", "dreg"])
def test_it_works_with_its_prior(objective):
    model = build(
        "pvae",
        posterior={"name": "wrapped-normal", "curvature": 0.5},
        prior={"name": "wrapped-normal", "curvature": 0.5},
        divergence="kl-mc" if objective == "elbo" else "none",
        objective=objective,
        latent=4,
    )
    model.terms(torch.rand(4, 1, 8, 8)).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3).shape == (3, 1, 8, 8)


def test_another_curvature_is_refused():
    with pytest.raises(UsageError, match="curvature=2"):
        build("pvae", prior={"name": "wrapped-normal", "curvature": 2.0})
    with pytest.raises(UsageError, match="2 or more"):
        build("pvae", latent=1)
