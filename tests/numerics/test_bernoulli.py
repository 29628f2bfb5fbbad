"""The Bernoulli likelihood: from logits, and what becomes of grey values."""

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import DataInfo, UsageError
from genmod.plugins.decoders.bernoulli import BernoulliDecoder

PIXELS = 784
BINARY, GREY = DataInfo((PIXELS,), levels=2), DataInfo((PIXELS,), levels=256)


def exact(logits, x):
    """``log p`` in double precision, ``-softplus(±l)``: ``(B, D) → (B,)``."""
    signed = np.where(x > 0.5, -logits, logits).astype(np.float64)
    return -(np.maximum(signed, 0) + np.log1p(np.exp(-np.abs(signed)))).sum(-1)


@pytest.mark.parametrize("size", [0.1, 1.0, 5.0, 30.0, 1e3, 1e4])
def test_log_density_against_double_precision(size):
    logits, x = size * torch.randn(64, PIXELS), (torch.rand(64, PIXELS) < 0.5).float()
    value = BernoulliDecoder(BINARY)(logits).log_prob(x).double().numpy()
    assert np.abs(value / exact(logits.numpy(), x.numpy()) - 1).max() <= 2e-7


def test_log_density_against_scipy():
    logits, x = torch.randn(20, PIXELS, dtype=torch.float64), torch.rand(20, PIXELS) < 0.5
    probabilities = torch.sigmoid(logits).numpy()
    expected = stats.bernoulli(probabilities).logpmf(x.numpy()).sum(-1)
    np.testing.assert_allclose(BernoulliDecoder(BINARY)(logits).log_prob(x.double()), expected, rtol=1e-12)


@pytest.mark.parametrize("logit", [-1e4, -120.0, -30.0, 0.0, 30.0, 120.0, 1e4])
def test_nothing_is_clamped(logit):
    """A certain mistake costs its logit, however large, and pulls with a gradient of one."""
    decoder = BernoulliDecoder(DataInfo((1,), levels=2))
    for x in (0.0, 1.0):
        logits = torch.tensor([[logit]], requires_grad=True)
        density = decoder(logits).log_prob(torch.tensor([[x]]))
        density.sum().backward()
        signed = logit if x == 0 else -logit
        assert density.item() == pytest.approx(-np.logaddexp(0.0, signed), rel=1e-6, abs=1e-12)
        assert logits.grad.item() == pytest.approx(x - 1 / (1 + np.exp(-np.clip(logit, -700, 700))), abs=1e-6)


def test_mean_is_the_probability():
    logits = torch.linspace(-20, 20, PIXELS)[None]
    torch.testing.assert_close(BernoulliDecoder(BINARY)(logits).mean, torch.sigmoid(logits))


def test_dynamic_binarisation_has_the_right_mean():
    """χ² over 256 grey levels, 2,000 draws each."""
    decoder = BernoulliDecoder(DataInfo((256,), levels=256), binarize="dynamic")
    grey = torch.arange(256)[None] / 255
    draws = torch.cat([decoder.observe(grey.expand(500, 256)) for _ in range(4)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert not draws[:, 0].any()
    assert draws[:, -1].all()
    p, n = grey[0, 1:-1].double().numpy(), len(draws)
    ones = draws[:, 1:-1].sum(0).double().numpy()
    chi2 = ((ones - n * p) ** 2 / (n * p * (1 - p))).sum()
    assert 1e-3 < stats.chi2(len(p)).sf(chi2) < 1 - 1e-3


def test_dynamic_binarisation_is_redrawn_each_time():
    decoder = BernoulliDecoder(GREY, binarize="dynamic")
    x = torch.full((8, PIXELS), 0.5)
    first, second = decoder.observe(x), decoder.observe(x)
    assert 0.45 < (first == second).float().mean() < 0.55
    assert (x == 0.5).all()


def test_threshold_cuts_in_the_middle():
    decoder = BernoulliDecoder(DataInfo((4,), levels=256), binarize="threshold")
    x = torch.tensor([[0, 127, 128, 255]]) / 255
    assert decoder.observe(x).tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_soft_targets_are_a_cross_entropy_and_say_so():
    decoder = BernoulliDecoder(GREY, binarize="none")
    assert not decoder.is_density
    logits, x = torch.randn(5, PIXELS, dtype=torch.float64), torch.rand(5, PIXELS, dtype=torch.float64)
    log_p, log_q = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    torch.testing.assert_close(
        decoder(logits).log_prob(decoder.observe(x)), (x * log_p + (1 - x) * log_q).sum(-1)
    )


@pytest.mark.parametrize("binarize", ["dynamic", "threshold", None])
def test_binary_data_are_observed_as_they_are(binarize):
    decoder = BernoulliDecoder(BINARY, binarize=binarize)
    x = (torch.rand(8, PIXELS) < 0.5).float()
    assert torch.equal(decoder.observe(x), x)
    assert decoder.is_density


def test_grey_data_are_refused_until_it_is_said_what_becomes_of_them():
    with pytest.raises(UsageError, match="binarize"):
        BernoulliDecoder(GREY)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 255.0), (-np.inf, np.inf), (0.0, 1.5)])
def test_data_outside_the_unit_interval_are_refused(low, high):
    for binarize in (None, "dynamic", "threshold", "none"):
        with pytest.raises(UsageError, match="gaussian"):
            BernoulliDecoder(DataInfo((4,), low=low, high=high), binarize=binarize)
