"""Likelihoods against scipy, and what each of them promises about its data."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal, stats

from genmod import Batch, DataInfo, TensorSplit, UsageError, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.decoders.beta import BetaDecoder
from genmod.plugins.decoders.categorical import LevelCategorical
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic
from genmod.plugins.decoders.discretized_logistic_mixture import DiscretizedLogisticMixture
from genmod.plugins.decoders.laplace import LaplaceDecoder
from genmod.plugins.decoders.log_cosh import LogCosh
from genmod.plugins.decoders.ms_ssim import ms_ssim
from genmod.plugins.decoders.negative_binomial import MeanNegativeBinomial
from genmod.plugins.decoders.poisson import LogRatePoisson
from genmod.plugins.decoders.student_t import StudentT, StudentTDecoder
from genmod.plugins.decoders.zero_inflated_negative_binomial import ZeroInflated

REAL = DataInfo((3,), low=-math.inf, high=math.inf)
GREY = DataInfo((1,), levels=256)


def doubles(*values):
    return (torch.as_tensor(value, dtype=torch.float64) for value in values)


def test_laplace_against_scipy():
    decoder = LaplaceDecoder(REAL, scale="per-pixel")
    parameters, x = torch.randn(9, 2, 3, dtype=torch.float64), 3 * torch.randn(9, 3, dtype=torch.float64)
    loc, log_scale = decoder.scale(parameters)
    expected = stats.laplace(loc.numpy(), log_scale.exp().numpy()).logpdf(x.numpy()).sum(-1)
    np.testing.assert_allclose(decoder(parameters).log_prob(x), expected, rtol=1e-12)


@pytest.mark.parametrize("df", [1.001, 2.0, 5.5, 100.0, 8000.0])
def test_student_t_against_scipy(df):
    x = torch.linspace(-50, 50, 101, dtype=torch.float64)
    df, loc, log_scale = doubles(df, 0.3, -0.7)
    expected = stats.t(df.item(), 0.3, math.exp(-0.7)).logpdf(x.numpy())
    p = StudentT(df, loc, log_scale)
    np.testing.assert_allclose(p.log_prob(x), expected, rtol=1e-10)
    single = StudentT(df.float(), loc.float(), log_scale.float()).log_prob(x.float())
    np.testing.assert_allclose(single, expected, rtol=2e-6, atol=2e-6)
    assert (
        stats.kstest(p.sample((20_000,)).numpy(), stats.t(df.item(), 0.3, math.exp(-0.7)).cdf).pvalue > 1e-3
    )
    assert p.variance.item() == pytest.approx(stats.t(df.item(), scale=math.exp(-0.7)).var())


def test_student_t_costs_the_logarithm_of_an_outlier():
    p = StudentTDecoder(REAL, df=3.0, scale=1.0)(torch.zeros(1, 3))
    near, far = p.log_prob(torch.full((1, 3), 1e6)), p.log_prob(torch.full((1, 3), 1e7))
    assert (near - far).item() == pytest.approx(3 * 4 * math.log(10), rel=1e-4)


def test_beta_against_scipy():
    decoder = BetaDecoder(DataInfo((3,), levels=256))
    parameters = torch.randn(9, 2, 3, dtype=torch.float64)
    p = decoder(parameters)
    x = decoder.observe(torch.rand(9, 3, dtype=torch.float64))
    a, b = p.base_dist.concentration1, p.base_dist.concentration0
    expected = stats.beta(a.numpy(), b.numpy()).logpdf(x.numpy()).sum(-1)
    np.testing.assert_allclose(p.log_prob(x), expected, rtol=1e-10)
    assert min(a.min(), b.min()) > 0.5


@pytest.mark.parametrize("dequantize", [False, True])
@pytest.mark.parametrize("levels", [None, 2, 256])
def test_beta_is_never_asked_about_the_ends(levels, dequantize):
    if dequantize and levels is None:
        with pytest.raises(UsageError, match="no levels"):
            BetaDecoder(DataInfo((2,)), dequantize=True)
        return
    decoder = BetaDecoder(DataInfo((2,), levels=levels), dequantize=dequantize)
    x = decoder.observe(torch.tensor([[0.0, 1.0]]).expand(10_000, 2))
    assert x.min() > 0
    assert x.max() < 1
    assert decoder(100 * torch.randn(10_000, 2, 2)).log_prob(x).isfinite().all()


def test_categorical_is_a_softmax_over_levels():
    info = DataInfo((1,), low=-1.0, high=1.0, levels=5)
    logits = torch.randn(7, 5, dtype=torch.float64)
    p = LevelCategorical(logits, info)
    for k in range(5):
        torch.testing.assert_close(p.log_prob(torch.tensor(-1 + k / 2)), logits.log_softmax(-1)[:, k])
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)
    torch.testing.assert_close(p.mean, logits.softmax(-1) @ values)
    torch.testing.assert_close(
        p.variance, logits.softmax(-1) @ values**2 - (logits.softmax(-1) @ values) ** 2
    )


LOGISTICS = [
    (loc, scale) for loc in (-3.0, -1.0, -0.3, 0.0, 1e-3, 0.8, 1.0, 2.0) for scale in (-7, -4, -1, 0, 3)
]


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 5e-7), (torch.float64, 1e-12)], ids=str)
def test_discretized_logistic_adds_up_to_one(dtype, bar):
    loc, log_scale = (torch.tensor(each, dtype=dtype) for each in zip(*LOGISTICS, strict=True))
    p = DiscretizedLogistic(loc, log_scale, GREY)
    total = p.log_prob(p.enumerate_support()).double().exp().sum(0)
    assert (total - 1).abs().max() <= bar
    parts = DiscretizedLogistic(loc.reshape(8, 5), log_scale.reshape(8, 5), GREY)
    mixture = DiscretizedLogisticMixture(torch.randn(8, 5, dtype=dtype), parts)
    total = mixture.log_prob(mixture.enumerate_support()).double().exp().sum(0)
    assert (total - 1).abs().max() <= bar


def test_discretized_logistic_against_differences_and_its_moments():
    loc, log_scale = doubles([-1.2, 0.1, 0.9], [-2.0, -1.0, 0.5])
    p = DiscretizedLogistic(loc, log_scale, GREY)
    edges = np.concatenate([[-np.inf], (2 * np.arange(1, 256) - 256) / 255, [np.inf]])
    cdf = stats.logistic(loc.numpy(), log_scale.exp().numpy()).cdf(edges[:, None])
    probabilities = p.log_prob(p.enumerate_support()).exp()
    np.testing.assert_allclose(probabilities, np.diff(cdf, axis=0), rtol=1e-9, atol=1e-15)
    values = p.enumerate_support()
    mean = (probabilities * values).sum(0)
    torch.testing.assert_close(p.mean, mean)
    torch.testing.assert_close(p.variance, (probabilities * (values - mean).square()).sum(0))


COUNTS = torch.arange(0, 400, dtype=torch.float64)


@pytest.mark.parametrize("log_rate", [-8.0, 0.0, 3.0, 5.0])
def test_poisson_against_scipy(log_rate):
    (rate,) = doubles(log_rate)
    expected = stats.poisson(math.exp(log_rate)).logpmf(COUNTS.numpy())
    np.testing.assert_allclose(LogRatePoisson(rate).log_prob(COUNTS), expected, rtol=1e-11)


@pytest.mark.parametrize("log_mean", [-6.0, 0.0, 4.0])
@pytest.mark.parametrize("log_r", [-5.0, 0.0, 2.0, 8.9])
def test_negative_binomial_against_scipy(log_mean, log_r):
    mean, r = math.exp(log_mean), math.exp(log_r)
    reference = stats.nbinom(r, r / (r + mean))
    p = MeanNegativeBinomial(*doubles(log_mean, log_r))
    np.testing.assert_allclose(p.log_prob(COUNTS), reference.logpmf(COUNTS.numpy()), rtol=1e-9, atol=1e-9)
    single = MeanNegativeBinomial(torch.tensor(log_mean), torch.tensor(log_r)).log_prob(COUNTS.float())
    np.testing.assert_allclose(single, p.log_prob(COUNTS), rtol=1e-5, atol=1e-5)
    assert p.mean.item() == pytest.approx(reference.mean())
    assert p.variance.item() == pytest.approx(reference.var())
    assert _fits(p.sample((20_000,)), p)


@pytest.mark.parametrize("logit", [-30.0, -1.0, 0.5, 30.0])
def test_zero_inflated_adds_zeros_and_nothing_else(logit):
    base = MeanNegativeBinomial(*doubles(1.5, 0.7))
    p, extra = ZeroInflated(*doubles(logit), base), 1 / (1 + math.exp(-logit))
    kept = 1 / (1 + math.exp(logit))
    expected = kept * base.log_prob(COUNTS).exp() + extra * (COUNTS == 0).double()
    np.testing.assert_allclose(p.log_prob(COUNTS).exp(), expected, rtol=1e-12)
    assert p.mean.item() == pytest.approx((expected * COUNTS).sum().item(), rel=1e-6)
    second = (expected * COUNTS**2).sum().item()
    assert p.variance.item() == pytest.approx(second - p.mean.item() ** 2, rel=1e-5)
    assert _fits(p.sample((20_000,)), p)


def _fits(draws, p):
    probabilities = p.log_prob(COUNTS).exp().numpy()
    seen = np.array([(draws == value).sum().item() for value in COUNTS])
    often = 20_000 * probabilities > 5
    if often.sum() < 2:
        return seen[often].sum() > 19_900
    observed = np.append(seen[often], 20_000 - seen[often].sum())
    expected = 20_000 * np.append(probabilities[often], max(1 - probabilities[often].sum(), 1e-4))
    statistic = ((observed - expected) ** 2 / expected).sum()
    return stats.chi2(len(observed) - 1).sf(statistic) > 1e-4


def test_counts_are_asked_for():
    from genmod.plugins.decoders.poisson import PoissonDecoder

    with pytest.raises(UsageError, match="counts") as caught:
        PoissonDecoder(DataInfo((3,), high=math.inf))
    assert "dataset.counts" in caught.value.hint


def test_log_cosh_has_no_overflow():
    x = torch.tensor([0.0, 1e-4, 0.3, 2.0], dtype=torch.float64)
    expected = -torch.log(torch.cosh(10 * x)) / 10
    torch.testing.assert_close(LogCosh(torch.zeros(4, dtype=torch.float64), 10.0).log_prob(x), expected)
    far = torch.tensor([1e4], requires_grad=True)
    value = LogCosh(far, 10.0).log_prob(torch.zeros(1))
    value.sum().backward()
    assert value.item() == pytest.approx(-1e4, rel=1e-4)
    assert far.grad.item() == pytest.approx(-1.0)


def reference_ms_ssim(x, y, scales=5, mirrored=False):
    """One channel, by scipy, line by line as the program of Wang et al.: windows of 11, valid places, mirrored edges.

    With ``mirrored`` as torchmetrics: at the coarsest scale the picture goes on beyond its edges.
    """
    powers = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    powers = powers if scales == 5 else powers / powers.sum()
    total = 1.0
    for j, power in enumerate(powers):
        sides = [min(11, side) for side in x.shape]
        if mirrored and j == scales - 1:
            x, y = (np.pad(z, 5, mode="reflect") for z in (x, y))
        rows, columns = (np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / 1.5) ** 2) for n in sides)
        kernel = np.outer(rows / rows.sum(), columns / columns.sum())

        def local(z, kernel=kernel):
            return signal.convolve2d(z, kernel, mode="valid")

        mx, my = local(x), local(y)
        vx, vy, vxy = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
        similarity = (2 * vxy + 0.03**2) / (vx + vy + 0.03**2)
        if j == scales - 1:
            similarity = similarity * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        total *= similarity.mean() ** power
        # imfilter(…, ones(2)/4, 'symmetric', 'same'), every other pixel
        square = np.ones((2, 2)) / 4
        x, y = (ndimage.correlate(z, square, mode="reflect", origin=-1)[::2, ::2] for z in (x, y))
    return total


def two_pictures(rows, columns):
    rng = np.random.default_rng(0)
    x = ndimage.gaussian_filter(rng.random((rows, columns)), 3)
    x = (x - x.min()) / (x.max() - x.min())
    return x, np.clip(x + 0.1 * rng.standard_normal(x.shape), 0, 1)


@pytest.mark.parametrize(
    ("rows", "columns", "scales"),
    [
        (64, 64, 5),
        (176, 176, 5),
        (192, 256, 5),
        (250, 177, 5),
        (256, 256, 5),
        (28, 28, 3),
        (33, 20, 3),
        (8, 8, 2),
    ],
)
def test_ms_ssim_is_that_of_the_program_of_its_authors(rows, columns, scales):
    x, y = two_pictures(rows, columns)
    value = ms_ssim(*(torch.from_numpy(each)[None, None] for each in (x, y)), 1.0)
    assert value.item() == pytest.approx(reference_ms_ssim(x, y, scales), rel=1e-9)


@pytest.mark.parametrize(
    "side", [176, pytest.param(192, marks=pytest.mark.slow), pytest.param(256, marks=pytest.mark.slow)]
)
def test_what_torchmetrics_does_otherwise(side):
    """It takes the coarsest scale from the picture with mirrored edges; with that in the reference the two agree."""
    image = pytest.importorskip("torchmetrics.functional.image")
    x, y = two_pictures(side, side)
    tensors = [torch.from_numpy(each)[None, None] for each in (x, y)]
    theirs = image.multiscale_structural_similarity_index_measure(*tensors, data_range=1.0).item()
    assert theirs == pytest.approx(reference_ms_ssim(x, y, mirrored=True), rel=1e-6)
    ours = ms_ssim(*tensors, 1.0).item()
    assert ours == pytest.approx(reference_ms_ssim(x, y), rel=1e-9)
    assert 1e-6 < abs(ours - theirs) < 1e-3


def test_ms_ssim_is_one_for_equals_and_less_for_others():
    x = torch.rand(4, 3, 33, 20, dtype=torch.float64)
    torch.testing.assert_close(ms_ssim(x, x, 1.0), torch.ones(4, dtype=torch.float64))
    noise = [ms_ssim(x, (x + s * torch.randn_like(x)).clamp(0, 1), 1.0).mean() for s in (0.05, 0.2, 0.8)]
    assert 1 > noise[0] > noise[1] > noise[2] > 0


@pytest.mark.parametrize("name", ["log-cosh", "ms-ssim"])
def test_errors_that_are_no_densities_have_no_bound(name):
    model = assemble(compose(components={"decoder": name}, latent=2), DataInfo((1, 8, 8), levels=17))
    result = evaluate(model, TensorSplit(Batch(torch.rand(4, 1, 8, 8))), "elbo[1]")
    assert [row.name for row in result.rows] == ["distortion"]
    assert {"elbo", "bits_per_dim"} <= set(result.undefined)


@pytest.mark.parametrize(
    "decoder",
    [
        pytest.param({"name": "gaussian", "scale": 0.3}, marks=pytest.mark.slow),
        {"name": "laplace", "scale": 0.3},
        {"name": "student-t"},
        "beta",
        "continuous-bernoulli",
    ],
    ids=str,
)
def test_bits_per_dim_do_not_depend_on_who_adds_the_noise(decoder):
    """The likelihood at training time or the evaluation: one rule, one number."""
    info = DataInfo((1, 8, 8), levels=17)
    table = {"name": decoder} if isinstance(decoder, str) else decoder
    rows = []
    for dequantize in (False, True):
        components = {"decoder": {**table, "dequantize": dequantize}}
        model = assemble(compose(components=components, latent=2), info)
        fixed = torch.Generator().manual_seed(0)
        stored = torch.randint(17, (400, 1, 8, 8), dtype=torch.uint8, generator=fixed)
        split = TensorSplit(Batch(stored))
        rows.append(evaluate(model, split, "elbo[2]")["bits_per_dim"])
    error = math.hypot(*(row.standard_error for row in rows))
    assert abs(rows[0].value - rows[1].value) <= 4 * error + 1e-3
