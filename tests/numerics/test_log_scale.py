"""Log-scales from networks: bounded, with a gradient everywhere, in every precision."""

import math

import pytest
import torch

from genmod import DataInfo, bounded_log_scale, build, diagonal_normal
from genmod.distributions.normal import LOG_SCALE_BOUND
from genmod.plugins.decoders.gaussian import GaussianDecoder
from genmod.plugins.posteriors.normal import NormalPosterior

PRECISIONS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_finite_value_and_gradient_up_to_thirty(dtype):
    x = torch.linspace(-30, 30, 601).to(dtype).requires_grad_()
    y = bounded_log_scale(x)
    y.sum().backward()
    scale = y.detach().exp()
    assert y.dtype == dtype
    assert scale.isfinite().all()
    assert (scale > 0).all()
    assert (x.grad > 0).all()


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_bounded_and_monotone_over_all_numbers(dtype):
    largest = torch.finfo(dtype).max
    x = torch.logspace(-3, math.log10(largest) * 0.999, 400, dtype=torch.float64).to(dtype)
    y = bounded_log_scale(torch.cat([-x.flip(0), x]).requires_grad_())
    # Rounding may pass the bound, and step back, by a unit in the last place.
    ulp = LOG_SCALE_BOUND * torch.finfo(dtype).eps
    assert (y.abs() <= LOG_SCALE_BOUND + ulp).all()
    assert (y.diff() >= -2 * ulp).all()
    assert y[-1] > 0.99 * LOG_SCALE_BOUND
    assert y[0] < -0.99 * LOG_SCALE_BOUND


def test_identity_to_first_order():
    x = torch.linspace(-0.01, 0.01, 21, dtype=torch.float64)
    torch.testing.assert_close(bounded_log_scale(x), x, rtol=1e-6, atol=0)


@pytest.mark.parametrize("log_scale", [-30.0, -9.0, 0.0, 9.0, 30.0])
def test_density_and_its_gradient_are_finite_far_out(log_scale):
    raw = torch.tensor([log_scale], requires_grad=True)
    loc = torch.tensor([0.0], requires_grad=True)
    density = diagonal_normal(loc, bounded_log_scale(raw), 1).log_prob(torch.tensor([2.0]))
    density.backward()
    assert density.isfinite()
    assert raw.grad.isfinite()
    assert raw.grad != 0
    assert loc.grad.isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("log_scale", [-30.0, 0.0, 30.0])
def test_posterior_from_half_precision_features(dtype, log_scale):
    """The head sees what a network computed in low precision, and gives draws, a KL and gradients."""
    posterior = NormalPosterior((4,), (3,))
    with torch.no_grad():
        posterior.head.weight.zero_()
        posterior.head.bias[3:] = log_scale
    features = torch.randn(2, 4).to(dtype).float()
    q = posterior(features)
    p = diagonal_normal(torch.zeros(3), torch.zeros(3), 1)
    kl = torch.distributions.kl_divergence(q, p).sum()
    (kl + q.rsample().sum()).backward()
    assert kl.isfinite()
    assert posterior.head.bias.grad.isfinite().all()
    assert (posterior.head.bias.grad[3:] != 0).all()


@pytest.mark.parametrize(
    "scale",
    [
        "learned",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("per-dimension", "per-pixel", "optimal")),
    ],
)
def test_data_with_a_scale_of_a_thousandth_train_without_nan(scale):
    """1,000 steps on data that a perfect model would describe with σ = 1e-3."""
    torch.manual_seed(0)
    info = DataInfo((8,), low=-math.inf, high=math.inf)
    decoder = GaussianDecoder(info, scale=scale)
    network = torch.nn.Linear(2, math.prod(decoder.parameter_shape))
    z = torch.randn(256, 2)
    x = z @ torch.randn(2, 8) + 1e-3 * torch.randn(256, 8)
    parameters = [*network.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    factor = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    for _ in range(1000):
        loss = -decoder(network(z).unflatten(1, decoder.parameter_shape)).log_prob(x).mean()
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in parameters)
        optimizer.step()
        factor.step()
    assert loss < -10


@pytest.mark.slow
def test_model_trains_on_features_that_ran_off():
    """A posterior head that starts at log-scales of ±30 comes back."""
    model = build(encoder={"name": "mlp", "hidden": [16]}, latent=4)
    with torch.no_grad():
        model.posterior.head.bias[4:] = torch.tensor([30.0, -30.0, 30.0, -30.0])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x = torch.rand(32, 1, 8, 8)
    first = None
    for _ in range(300):
        loss = model.terms(x).loss
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = first or loss.item()
    assert loss.item() < 1e-2 * first
