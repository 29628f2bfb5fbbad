"""The Gaussian likelihood: constants, and where each kind of scale comes from."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import DataInfo, LogScaleNormal, diagonal_normal
from genmod.plugins.decoders.gaussian import GaussianDecoder

INFO = DataInfo((2, 3), low=-math.inf, high=math.inf)


def test_normal_against_scipy():
    loc, log_scale, x = (torch.randn(500, dtype=torch.float64) for _ in range(3))
    normal = LogScaleNormal(loc, 2 * log_scale)
    reference = stats.norm(loc.numpy(), (2 * log_scale).exp().numpy())
    np.testing.assert_allclose(normal.log_prob(5 * x), reference.logpdf(5 * x.numpy()), rtol=1e-12)
    np.testing.assert_allclose(normal.entropy(), reference.entropy(), rtol=1e-12)
    np.testing.assert_allclose(normal.stddev, reference.std(), rtol=1e-12)
    np.testing.assert_allclose(normal.cdf(x), reference.cdf(x.numpy()), rtol=0, atol=1e-9)


def test_diagonal_normal_against_scipy():
    loc, log_scale = torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    x = torch.randn(50, 4, dtype=torch.float64)
    reference = stats.multivariate_normal(loc.numpy(), np.diag((2 * log_scale).exp().numpy()))
    np.testing.assert_allclose(
        diagonal_normal(loc, log_scale, 1).log_prob(x), reference.logpdf(x), rtol=1e-12
    )
    np.testing.assert_allclose(diagonal_normal(loc, log_scale, 1).entropy(), reference.entropy(), rtol=1e-12)


def test_draws_density_and_entropy_use_one_scale():
    normal = LogScaleNormal(torch.zeros(3), torch.tensor([-3.0, 0.0, 2.0]))
    x = normal.sample((200_000,))
    entropy = -normal.log_prob(x)
    error = entropy.std(0) / len(x) ** 0.5
    assert ((entropy.mean(0) - normal.entropy()).abs() <= 4.5 * error).all()
    torch.testing.assert_close(x.std(0), normal.stddev, rtol=0.01, atol=0)


def test_expanding_keeps_the_density():
    normal = LogScaleNormal(torch.randn(3), torch.randn(3)).expand(torch.Size((4, 3)))
    assert normal.batch_shape == (4, 3)
    x = torch.randn(4, 3)
    torch.testing.assert_close(normal.log_prob(x), LogScaleNormal(normal.loc, normal.log_scale).log_prob(x))


@pytest.mark.parametrize("scale", [0.05, 1.0, 7.5])
def test_fixed_scale_against_scipy(scale):
    decoder = GaussianDecoder(INFO, scale=scale).double()
    mean, x = torch.randn(2, 5, 2, 3, dtype=torch.float64).unbind(0)
    expected = stats.norm(mean.numpy(), scale).logpdf(x.numpy()).sum((1, 2))
    np.testing.assert_allclose(decoder(mean).log_prob(x), expected, rtol=1e-7)


def test_per_pixel_scale_against_scipy():
    """Means first, then log-scales, for each value of each example."""
    decoder = GaussianDecoder(INFO, scale="per-pixel")
    assert decoder.parameter_shape == (2, 2, 3)
    assert not list(decoder.parameters())
    parameters = 0.01 * torch.randn(5, 2, 2, 3, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    mean, log_scale = parameters.numpy()[:, 0], parameters.numpy()[:, 1]
    expected = stats.norm(mean, np.exp(log_scale)).logpdf(x.numpy()).sum((1, 2))
    np.testing.assert_allclose(decoder(parameters).log_prob(x), expected, rtol=1e-6)
    np.testing.assert_allclose(decoder(parameters).mean, mean)


@pytest.mark.parametrize(("scale", "shape"), [("learned", ()), ("per-dimension", (2, 3))])
def test_trained_scale_finds_that_of_the_data(scale, shape):
    decoder = GaussianDecoder(INFO, scale=scale)
    assert [p.shape for p in decoder.parameters()] == [shape]
    x = torch.tensor([0.1, 0.5, 2.0]).expand(2000, 2, 3) * torch.randn(2000, 2, 3)
    mean = torch.zeros(2000, 2, 3)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (-decoder(mean).log_prob(x).mean()).backward()
        optimizer.step()
    expected = x.square().mean(0).sqrt() if shape else x.square().mean().sqrt()
    found = decoder(mean).stddev[0].detach()
    torch.testing.assert_close(found, expected.expand(2, 3), rtol=1e-3, atol=0)


def test_scale_starts_within_the_range_of_the_data():
    for low, high, expected in ((0.0, 1.0, 0.25), (0.0, 255.0, 63.75), (-math.inf, math.inf, 1.0)):
        decoder = GaussianDecoder(DataInfo((2,), low=low, high=high))
        assert decoder(torch.zeros(1, 2)).stddev[0, 0].item() == pytest.approx(expected, rel=0.35)


def test_optimal_scale_is_the_root_mean_squared_error():
    """σ* = RMSE over batch and dimensions, so that ``-log p = D/2 (log(2π MSE) + 1)`` on average."""
    decoder = GaussianDecoder(INFO, scale="optimal").double()
    mean, x = torch.randn(2, 16, 2, 3, dtype=torch.float64).unbind(0)
    mse = (x - mean).square().mean()
    expected = stats.norm(mean.numpy(), mse.sqrt().item()).logpdf(x.numpy()).sum((1, 2))
    density = decoder(mean).log_prob(x)
    np.testing.assert_allclose(density, expected, rtol=1e-12)
    assert density.mean().item() == pytest.approx(-3 * (math.log(2 * math.pi * mse) + 1), rel=1e-12)
    for scale in (0.9, 1.1):
        worse = stats.norm(mean.numpy(), scale * mse.sqrt().item()).logpdf(x.numpy()).sum((1, 2)).mean()
        assert worse < density.mean()


def test_gradient_at_the_optimal_scale_is_that_of_the_log_of_the_error():
    """``∇ mean_b[-log p] = ∇ D/2 log MSE``, as if the scale had been differentiated too."""
    decoder = GaussianDecoder(INFO, scale="optimal").double()
    mean = torch.randn(16, 2, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(16, 2, 3, dtype=torch.float64)
    (ours,) = torch.autograd.grad(-decoder(mean).log_prob(x).mean(), mean)
    (expected,) = torch.autograd.grad(INFO.size / 2 * (x - mean).square().mean().log(), mean)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-15)


def test_optimal_scale_of_several_draws():
    """With K draws for each example, ``(K, B)``, the error is the mean over all of them."""
    decoder = GaussianDecoder(INFO, scale="optimal").double()
    mean = torch.randn(3, 16, 2, 3, dtype=torch.float64)
    x = torch.randn(16, 2, 3, dtype=torch.float64)
    mse = (x - mean).square().mean().item()
    expected = stats.norm(mean.numpy(), math.sqrt(mse)).logpdf(x.numpy()).sum((2, 3))
    np.testing.assert_allclose(decoder(mean).log_prob(x), expected, rtol=1e-12)


def test_optimal_scale_is_remembered_for_evaluation():
    decoder = GaussianDecoder(INFO, scale="optimal")
    for _ in range(300):
        decoder(torch.zeros(64, 2, 3)).log_prob(0.3 * torch.randn(64, 2, 3))
    decoder.eval()
    state = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    likelihood = decoder(torch.zeros(1, 2, 3))
    assert likelihood.stddev[0, 0, 0].item() == pytest.approx(0.3, rel=0.02)
    likelihood.log_prob(100 * torch.randn(1, 2, 3))
    assert all(torch.equal(decoder.state_dict()[name], tensor) for name, tensor in state.items())
    other = GaussianDecoder(INFO, scale="optimal").eval()
    other.load_state_dict(decoder.state_dict())
    x = torch.randn(4, 2, 3)
    assert torch.equal(other(torch.zeros(4, 2, 3)).log_prob(x), decoder(torch.zeros(4, 2, 3)).log_prob(x))


def test_optimal_scale_of_a_perfect_reconstruction_is_finite():
    decoder = GaussianDecoder(INFO, scale="optimal")
    mean = torch.ones(4, 2, 3, requires_grad=True)
    density = decoder(mean).log_prob(torch.ones(4, 2, 3)).mean()
    density.backward()
    assert density.isfinite()
    assert mean.grad.isfinite().all()
