"""Closed forms between posterior and prior: Rényi, Wasserstein, reverse KL and Jeffreys."""

import numpy as np
import pytest
import torch
from scipy import integrate, linalg, stats
from torch.distributions import (
    Cauchy,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    kl_divergence,
)

from genmod import UndefinedError, diagonal_normal
from genmod.plugins.divergences._normals import normal_moments
from genmod.plugins.divergences.jeffreys import Jeffreys
from genmod.plugins.divergences.renyi import Renyi
from genmod.plugins.divergences.reverse_kl import ReverseKL
from genmod.plugins.divergences.wasserstein2 import Wasserstein2


def full(batch=(3,), latents=3):
    """Normals with any covariance."""
    factor = torch.randn(*batch, latents, latents, dtype=torch.float64)
    covariance = factor @ factor.mT + 0.3 * torch.eye(latents, dtype=torch.float64)
    return MultivariateNormal(torch.randn(*covariance.shape[:-1], dtype=torch.float64), covariance)


def normal(mean, scale):
    """A normal of one latent."""
    mean, scale = torch.tensor([[mean], [scale]], dtype=torch.float64)
    return diagonal_normal(mean, scale.log(), 1)


def in_full(q):
    """A diagonal normal as one of full covariance."""
    return MultivariateNormal(q.mean, q.variance.diag_embed())


def renyi_by_quadrature(alpha, q, p):
    """``1/(α-1) log ∫ q^α p^(1-α)`` in one dimension."""

    def product(z):
        return np.exp(alpha * q.logpdf(z) + (1 - alpha) * p.logpdf(z))

    return np.log(integrate.quad(product, -40, 40, points=(0.0, q.mean()), epsabs=1e-13, limit=200)[0]) / (
        alpha - 1
    )


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_renyi_is_its_integral(alpha):
    cases = [(0.0, 1.0), (1.3, 0.4), (-0.7, 2.5), (0.21, 1.501)]
    loc, scale = torch.tensor(cases, dtype=torch.float64).T[..., None]
    q, p = diagonal_normal(loc, scale.log(), 1), normal(0.2, 1.5)
    expected = [renyi_by_quadrature(alpha, stats.norm(*case), stats.norm(0.2, 1.5)) for case in cases]
    np.testing.assert_allclose(Renyi(alpha=alpha)(q, p, None), expected, rtol=1e-8, atol=1e-12)


def test_renyi_becomes_the_kl(posterior, prior):
    q, p = posterior(), prior()
    kl = kl_divergence(q, p)
    torch.testing.assert_close(Renyi(alpha=1.0)(q, p, None), kl, rtol=1e-13, atol=0)
    for rest in (1e-3, 1e-6, 1e-9, 1e-12):
        torch.testing.assert_close(Renyi(alpha=1 - rest)(q, p, None), kl, rtol=20 * rest + 1e-12, atol=0)
    general, standard = full(), full(batch=())
    torch.testing.assert_close(Renyi(alpha=1.0)(general, standard, None), kl_divergence(general, standard))
    near = Renyi(alpha=1 - 1e-9)(general, standard, None)
    torch.testing.assert_close(near, kl_divergence(general, standard), rtol=1e-6, atol=0)


def test_renyi_grows_with_its_order(posterior, prior):
    q, p = posterior(), prior()
    values = torch.stack([Renyi(alpha=alpha)(q, p, None) for alpha in (0.01, 0.2, 0.5, 0.8, 1.0)])
    assert (values.diff(dim=0) > 0).all()
    assert (values > 0).all()


@pytest.mark.parametrize("part", [Renyi(alpha=0.3), Renyi(alpha=1.0), Wasserstein2()], ids=repr)
def test_full_covariances_agree_with_diagonal_ones(part, posterior, prior):
    q, p = posterior(), prior()
    expected = part(q, p, None)
    for pair in ((in_full(q), p), (q, in_full(p)), (in_full(q), in_full(p))):
        torch.testing.assert_close(part(*pair, None), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(part.by_dimension(q, p, None).sum(1), expected)
    with pytest.raises(UndefinedError, match="does not decompose"):
        part.by_dimension(in_full(q), p, None)


def test_renyi_of_full_covariances_against_its_formula():
    """``½ α ΔᵀΣ⁻¹Δ + log(|Σ| / (|Σ_q|^(1-α) |Σ_p|^α)) / (2(1-α))``, in numpy."""
    q, p, alpha = full(), full(batch=()), 0.35
    for i, value in enumerate(Renyi(alpha=alpha)(q, p, None).tolist()):
        cq, cp = q.covariance_matrix[i].numpy(), p.covariance_matrix.numpy()
        mixed = alpha * cp + (1 - alpha) * cq
        shift = (q.loc[i] - p.loc).numpy()
        logs = [np.linalg.slogdet(c)[1] for c in (mixed, cq, cp)]
        expected = 0.5 * alpha * shift @ np.linalg.solve(mixed, shift)
        expected += (logs[0] - (1 - alpha) * logs[1] - alpha * logs[2]) / (2 * (1 - alpha))
        assert value == pytest.approx(expected, rel=1e-9)


def test_wasserstein_of_full_covariances_against_matrix_roots():
    q, p = full(), full(batch=())
    root = linalg.sqrtm(p.covariance_matrix.numpy())
    for i, value in enumerate(Wasserstein2()(q, p, None).tolist()):
        cq = q.covariance_matrix[i].numpy()
        cross = np.trace(linalg.sqrtm(root @ cq @ root)).real
        expected = (q.loc[i] - p.loc).square().sum().item() + np.trace(cq) + np.trace(root @ root) - 2 * cross
        assert value == pytest.approx(expected, rel=1e-8)


def test_wasserstein_of_one_dimension_is_the_distance_of_quantiles():
    """``∫ (F⁻¹(u) - G⁻¹(u))² du``."""
    q, p = normal(1.3, 0.4).expand((1,)), normal(0.0, 1.0)
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    distance = (q.base_dist.icdf(u[:, None, None]) - p.base_dist.icdf(u[:, None])[:, None]).square().mean()
    assert Wasserstein2()(q, p, None).item() == pytest.approx(distance.item(), rel=1e-4)
    assert Wasserstein2()(q, p, None).item() == pytest.approx(1.3**2 + 0.6**2, rel=1e-12)


@pytest.mark.parametrize("part", [Renyi(alpha=0.3), Wasserstein2(), ReverseKL(), Jeffreys()], ids=repr)
@pytest.mark.parametrize("build", ["diagonal", "full"])
def test_zero_and_flat_where_both_are_equal(part, build):
    parameters = torch.randn(2, 3, dtype=torch.float64)
    if build == "diagonal":
        q = diagonal_normal(
            loc := parameters[0].expand(4, 3).clone().requires_grad_(), parameters[1].expand(4, 3), 1
        )
        p = diagonal_normal(parameters[0], parameters[1], 1)
    else:
        p = full(batch=())
        loc = p.loc.expand(4, 3).clone().requires_grad_()
        q = MultivariateNormal(loc, scale_tril=p.scale_tril.expand(4, 3, 3))
    value = part(q, p, None)
    value.sum().backward()
    assert value.abs().max() < 1e-12
    assert loc.grad.abs().max() < 1e-6


@pytest.mark.parametrize("part", [Renyi(alpha=0.3), Wasserstein2()], ids=repr)
def test_gradients_of_full_covariances_are_those_of_differences(part):
    p = full(batch=())
    factor = torch.randn(2, 3, 3, dtype=torch.float64).tril(-1) + torch.eye(3, dtype=torch.float64)
    loc = torch.randn(2, 3, dtype=torch.float64)

    def value(loc, factor):
        return part(MultivariateNormal(loc, scale_tril=factor.tril()), p, None)

    assert torch.autograd.gradcheck(value, (loc.requires_grad_(), factor.requires_grad_()))


def test_gradient_stays_finite_where_a_covariance_has_equal_eigenvalues(prior):
    """A derivative of eigenvectors would divide by the difference of eigenvalues."""
    for part in (Renyi(alpha=0.3), Wasserstein2()):
        factor = torch.eye(3, dtype=torch.float64).expand(2, 3, 3).clone().requires_grad_()
        loc = torch.ones(2, 3, dtype=torch.float64)
        part(MultivariateNormal(loc, scale_tril=factor), prior(), None).sum().backward()
        assert factor.grad.isfinite().all()


def test_low_rank_normals_have_moments():
    q = LowRankMultivariateNormal(torch.randn(2, 3), torch.randn(2, 3, 1), torch.rand(2, 3) + 0.1)
    moments = normal_moments(q)
    torch.testing.assert_close(moments.factor @ moments.factor.mT, q.covariance_matrix)
    assert not moments.diagonal


def test_several_latent_dimensions_are_flattened():
    q = diagonal_normal(torch.randn(4, 2, 3), torch.randn(4, 2, 3), 2)
    p = diagonal_normal(torch.zeros(2, 3), torch.zeros(2, 3), 2)
    for part in (Renyi(alpha=0.3), Wasserstein2(), ReverseKL(), Jeffreys()):
        parts = part.by_dimension(q, p, None)
        assert parts.shape == (4, 2, 3)
        torch.testing.assert_close(parts.sum((1, 2)), part(q, p, None))


def test_reverse_kl_and_jeffreys(posterior, prior):
    q, p = posterior(), prior()
    torch.testing.assert_close(ReverseKL()(q, p, None), kl_divergence(p, q))
    torch.testing.assert_close(Jeffreys()(q, p, None), kl_divergence(q, p) + kl_divergence(p, q))
    assert not torch.allclose(ReverseKL()(q, p, None), kl_divergence(q, p))


@torch.no_grad()
def test_estimates_from_draws_agree_with_the_closed_forms(posterior, prior):
    q, p = posterior(), prior()
    for estimate, closed in ((ReverseKL(samples=500), ReverseKL()), (Jeffreys(samples=500), Jeffreys())):
        values = torch.stack([estimate(q, p, q.sample((500,))) for _ in range(200)])
        error = values.std(0) / 200**0.5
        assert ((values.mean(0) - closed(q, p, None)).abs() < 4 * error).all()


def test_estimate_works_for_any_pair_and_any_batch_of_the_prior(posterior):
    q = posterior(batch=4)
    for p in (Independent(Laplace(torch.zeros(3), torch.ones(3)), 1).expand((4,)), posterior(batch=4)):
        for part in (ReverseKL(samples=7), Jeffreys(samples=7)):
            value = part(q, p, q.rsample((2,)))
            assert value.shape == (4,)
            assert value.isfinite().all()


def test_estimate_learns_a_prior_whose_draws_cannot_be_differentiated():
    """The gradient has the part that comes from how the draws move: here against the closed form's."""
    logits = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    q = torch.distributions.Categorical(logits=torch.tensor([[0.5, 0.1, -0.4]], dtype=torch.float64))

    def gradient(part):
        value = part(q, torch.distributions.Categorical(logits=logits), None)
        return torch.autograd.grad(value.sum(), logits)[0]

    expected = gradient(ReverseKL())
    gradients = torch.stack([gradient(ReverseKL(samples=1000)) for _ in range(300)])
    error = gradients.std(0) / 300**0.5
    assert ((gradients.mean(0) - expected).abs() < 4 * error).all()
    assert expected.abs().max() > 20 * error.max()


@pytest.mark.parametrize("part", [Renyi(), Wasserstein2(), ReverseKL(), Jeffreys()], ids=repr)
def test_a_pair_without_a_closed_form_is_refused_by_name(part):
    q = Independent(Laplace(torch.zeros(2, 3), torch.ones(2, 3)), 1)
    p = Independent(Cauchy(torch.zeros(3), torch.ones(3)), 1)
    for call in (lambda: part.check(q, p), lambda: part(q, p, None)):
        with pytest.raises(UndefinedError, match=r"Laplace.*Cauchy") as caught:
            call()
        assert "--divergence" in caught.value.hint
