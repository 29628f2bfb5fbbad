"""Logistic-normal latents and the priors on their simplex."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import StickBreakingTransform

from genmod import UsageError, build
from genmod.plugins.posteriors.logistic_normal import LogisticNormal, contrasts
from genmod.plugins.priors.dirichlet import DirichletPrior
from genmod.plugins.priors.logistic_normal import LogisticNormalPrior


@pytest.fixture(autouse=True)
def _double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def triangle(count=901):
    """Points of the simplex of three classes, by the softmax of a grid, and the area of the cell around each."""
    side = torch.linspace(-30, 30, count)
    u = torch.stack([*torch.meshgrid(side, side, indexing="ij"), torch.zeros(count, count)], -1)
    log_area = u.log_softmax(-1).sum(-1) + 2 * math.log(60 / (count - 1))
    return u.softmax(-1), log_area.exp()


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_density_integrates_to_one(scale):
    z, area = triangle()
    p = LogisticNormal(torch.tensor([0.7, -0.4]), torch.tensor([scale, 1.0]).log(), contrasts(3), 1)
    assert (p.log_prob(z).exp() * area).sum().item() == pytest.approx(1, abs=1e-9)


def test_draws_have_the_density():
    """By the expected probabilities and their squares."""
    z, area = triangle()
    p = LogisticNormal(torch.tensor([0.7, -0.4]), torch.tensor([-0.5, 0.2]), contrasts(3), 1)
    mass, draws = p.log_prob(z).exp() * area, p.sample((200_000,))
    for power in (1, 2):
        expected = (mass[..., None] * z**power).sum((0, 1))
        error = (draws**power).std(0) / len(draws) ** 0.5
        assert ((draws**power).mean(0) - expected).abs().lt(4.5 * error).all()


def test_density_of_two_classes_against_scipy():
    """The logit of two classes is normal with √2 times the scale."""
    z = torch.linspace(0.01, 0.99, 50)
    p = LogisticNormal(torch.tensor([0.4]), torch.tensor([-0.3]), contrasts(2), 1)
    logit = z.logit()
    theirs = stats.norm.logpdf(logit, 2**0.5 * 0.4, 2**0.5 * math.exp(-0.3)) - (z * (1 - z)).log().numpy()
    torch.testing.assert_close(p.log_prob(torch.stack([z, 1 - z], -1)), torch.from_numpy(theirs))


def test_determinant_against_autograd():
    basis, u = contrasts(5), torch.randn(4)
    jacobian = torch.autograd.functional.jacobian(lambda u: (basis @ u).softmax(-1)[:-1], u)
    p = LogisticNormal(torch.zeros(4), torch.zeros(4), basis, 1)
    expected = Normal(0.0, 1.0).log_prob(u).sum() - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(p.log_prob((basis @ u).softmax(-1)), expected)


def test_it_has_the_measure_of_other_densities_on_the_simplex():
    """Importance weights between the three have mean one."""
    k = 4
    ours = LogisticNormalPrior((k,), scale=1.0).double()()
    theirs = TransformedDistribution(
        Independent(Normal(torch.zeros(k - 1), torch.ones(k - 1)), 1), StickBreakingTransform()
    )
    uniform = DirichletPrior((k,)).double()()
    for p in (ours, theirs):
        z = p.sample((100_000,))
        # Of bounded weights alone the mean converges: the mixture is in the denominator.
        mixture = torch.logaddexp(p.log_prob(z), uniform.log_prob(z))
        part = (p.log_prob(z) - mixture).exp().mean()
        z = uniform.sample((100_000,))
        mixture = torch.logaddexp(p.log_prob(z), uniform.log_prob(z))
        other = (p.log_prob(z) - mixture).exp().mean()
        assert float(part + other) == pytest.approx(1, abs=0.01)


def test_prior_singles_out_no_class():
    """It is the softmax of independent normals: probabilities have the same distribution in every place."""
    z = LogisticNormalPrior((4,), scale=1.5).double()().sample((20_000,))
    plain = (1.5 * torch.randn(20_000, 4)).softmax(-1)
    for k in range(4):
        assert stats.ks_2samp(z[:, k].numpy(), plain[:, k].numpy()).pvalue > 1e-3
        assert stats.ks_2samp(z[:, k].numpy(), z[:, 0].flip(0).numpy()).pvalue > 1e-3


def test_laplace_approximation_of_dirichlet():
    """Where concentrations are large both are the same."""
    alpha, z = 400.0, torch.tensor([[0.25, 0.3, 0.2, 0.25], [0.25, 0.25, 0.25, 0.25]])
    near = LogisticNormalPrior((4,), scale=alpha**-0.5).double()().log_prob(z)
    exact = DirichletPrior((4,), concentration=alpha).double()().log_prob(z)
    assert float((near - exact)[1].abs()) < 1e-2
    assert float((near[0] - near[1]) / (exact[0] - exact[1])) == pytest.approx(1, abs=0.05)


def test_dirichlet_against_scipy():
    z = torch.tensor([0.1, 0.2, 0.7])
    for alpha in (0.3, 1.0, 5.0):
        ours = DirichletPrior((3,), concentration=alpha).double()().log_prob(z)
        assert ours.item() == pytest.approx(stats.dirichlet.logpdf(z.numpy(), [alpha] * 3))


def test_kl_against_draws():
    q = LogisticNormal(torch.randn(3, 2, 3), 0.3 * torch.randn(3, 2, 3), contrasts(4), 2)
    p = LogisticNormal(torch.zeros(2, 3), torch.zeros(2, 3), contrasts(4), 2)
    z = q.sample((50_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - kl_divergence(q, p)).abs() < 4.5 * ratio.std(0) / 50_000**0.5).all()


def test_density_of_draws_at_the_corners_is_finite():
    loc = (9 * torch.randn(500, 9).sign()).float().requires_grad_()
    log_scale = torch.linspace(-9, 9, 500).float()[:, None].expand(500, 9)
    p = LogisticNormal(loc, log_scale, contrasts(10).float(), 1)
    value = p.log_prob(p.rsample())
    value.sum().backward()
    assert value.isfinite().all()
    assert loc.grad.isfinite().all()


@pytest.mark.parametrize(
    ("prior", "divergence"), [("logistic-normal", "kl"), ("logistic-normal", "kl-mc"), ("dirichlet", "kl-mc")]
)
@pytest.mark.parametrize("latent", [8, (3, 4)])
def test_combinations_that_fit(prior, divergence, latent):
    torch.set_default_dtype(torch.float32)
    model = build("vae", posterior="logistic-normal", prior=prior, divergence=divergence, latent=latent)
    model.terms(torch.rand(4, 1, 8, 8)).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3).shape == (3, 1, 8, 8)


def test_dirichlet_has_no_closed_form():
    torch.set_default_dtype(torch.float32)
    with pytest.raises(UsageError) as caught:
        build("vae", posterior="logistic-normal", prior="dirichlet", divergence="kl", latent=8)
    assert "kl-mc" in caught.value.hint


def test_gradient_at_a_corner_is_finite():
    z = torch.tensor([1.0, 2e-38, 1e-26], dtype=torch.float32, requires_grad=True)
    narrow = torch.full((2,), -9.0, dtype=torch.float32)
    LogisticNormal(torch.zeros_like(narrow), narrow, contrasts(3).float(), 1).log_prob(z).backward()
    assert z.grad.isfinite().all()
