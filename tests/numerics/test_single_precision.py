"""Densities in single precision, over their whole range of arguments, against fifty digits of the same arguments."""

import math
from itertools import product

import mpmath as mp
import pytest
import torch
from torch.distributions import Gamma

from genmod import DataInfo, UsageError
from genmod.distributions import PreciseBeta, PreciseDirichlet, PreciseGamma
from genmod.distributions.log_gamma import deviance, factorial_excess
from genmod.options import validate
from genmod.plugins.decoders import negative_binomial, poisson
from genmod.plugins.decoders._coupled_logistics import CoupledLogisticMixture
from genmod.plugins.decoders.categorical import LevelCategorical
from genmod.plugins.decoders.continuous_bernoulli import ContinuousBernoulli
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic
from genmod.plugins.decoders.discretized_logistic_mixture import DiscretizedLogisticMixture
from genmod.plugins.decoders.gaussian import GaussianDecoder
from genmod.plugins.decoders.laplace import LaplaceDecoder
from genmod.plugins.decoders.log_cosh import LogCosh
from genmod.plugins.decoders.negative_binomial import MeanNegativeBinomial
from genmod.plugins.decoders.poisson import LogRatePoisson
from genmod.plugins.decoders.student_t import StudentT
from genmod.plugins.decoders.zero_inflated_negative_binomial import ZeroInflated
from genmod.plugins.posteriors._bits import Bit
from genmod.plugins.posteriors.power_spherical import PowerSpherical

mp.mp.dps = 50
EVERY_COUNT = [0, 1, 2, 5, 9, 16, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1.6e7, 1e9, 1e15, 1e30]


def single(*columns):
    """Numbers as they are kept in single precision, and as mpmath sees those."""
    tensors = [torch.tensor(column, dtype=torch.float64).float() for column in columns]
    return tensors, [tuple(map(mp.mpf, row)) for row in zip(*(t.tolist() for t in tensors), strict=True)]


def grid(*axes):
    return zip(*product(*axes), strict=True)


def check(found, wanted, rel=1e-6, absolute=4e-6):
    assert found.dtype == torch.float32
    wanted = torch.tensor([float(each) for each in wanted], dtype=torch.float64)
    off = (found.detach().double() - wanted).abs() - absolute - rel * wanted.abs()
    worst = int(off.nan_to_num(torch.inf).argmax())
    assert off[worst] <= 0, (found[worst].item(), wanted[worst].item())


def around(mean, deviation):
    return [max(round(mean + k * deviation), 0) for k in (-6, -3, -1, -0.1, 0, 0.1, 1, 3, 6)]


def poisson_exactly(log_rate, x):
    return x * log_rate - mp.exp(log_rate) - mp.loggamma(x + 1)


POISSON = {
    f"{rate:g}": (math.log(rate), around(rate, rate**0.5)) for rate in (1, 1e2, 1e4, 1e6, 1e7, 6e7, 1e12)
}
POISSON["grid"] = None


@pytest.mark.parametrize("rate", POISSON)
def test_poisson(rate):
    given = POISSON[rate]
    rates, counts = grid([given[0]], given[1]) if given else grid(range(-18, 19, 3), EVERY_COUNT)
    (log_rate, x), rows = single(rates, counts)
    found = LogRatePoisson(log_rate).log_prob(x)
    check(found, [poisson_exactly(*row) for row in rows])
    assert (found <= 0).all()


def negative_binomial_exactly(log_mean, log_r, x):
    mean, r = mp.exp(log_mean), mp.exp(log_r)
    ways = mp.loggamma(x + r) - mp.loggamma(r) - mp.loggamma(x + 1)
    return ways - r * mp.log1p(mean / r) - x * mp.log1p(r / mean)


@pytest.mark.parametrize("mean", [1, 1e2, 1e4, 1e6, 6e7])
@pytest.mark.parametrize("log_r", [-9.0, -3.0, 0.0, 4.0, 9.0, 30.0])
def test_negative_binomial(mean, log_r):
    deviation = math.sqrt(mean + mean**2 / math.exp(log_r))
    tensors, rows = single(*grid([math.log(mean)], [log_r], [*EVERY_COUNT[:8], *around(mean, deviation)]))
    found = MeanNegativeBinomial(*tensors[:2]).log_prob(tensors[2])
    check(found, [negative_binomial_exactly(*row) for row in rows])
    assert (found <= 0).all()


@pytest.mark.parametrize("logit", [-60.0, -16.0, -1.0, 0.0, 3.0, 16.0, 40.0])
def test_zero_inflated_negative_binomial(logit):
    tensors, rows = single(*grid([-18.0, -3.0, 0.0, 9.0, 18.0], [-9.0, 0.0, 9.0], EVERY_COUNT[:14]))
    base = MeanNegativeBinomial(*tensors[:2])
    found = ZeroInflated(torch.full((len(rows),), logit), base).log_prob(tensors[2])
    extra, kept = 1 / (1 + mp.exp(-logit)), 1 / (1 + mp.exp(logit))
    wanted = []
    for row in rows:
        counted = negative_binomial_exactly(*row)
        wanted.append(mp.log(extra + kept * mp.exp(counted)) if row[2] == 0 else mp.log(kept) + counted)
    check(found, wanted)
    assert (found <= 0).all()


FAR = [0, 1e-8, 1e-3, 0.5, 1, 3, 10, 1e3, 1e6, 1e10, 1e18, 1e20, 1e25, 1e30]


@pytest.mark.parametrize("df", [0.5, 1.001, 2, 5, 30, 1e3, 1e5, 1e8, 1e12, 1e20, 1e30])
def test_student_t(df):
    (nu, loc, log_scale, x), rows = single(*grid([df], [0.3], [-0.7], FAR))
    wanted = []
    for n, middle, scale, value in rows:
        with mp.workdps(120):
            tail = (n + 1) / 2 * mp.log1p(((value - middle) / mp.exp(scale)) ** 2 / n)
            constant = mp.loggamma((n + 1) / 2) - mp.loggamma(n / 2) - mp.log(mp.pi * n) / 2
            wanted.append(constant - scale - tail)
    check(StudentT(nu, loc, log_scale).log_prob(x), wanted)


BETAS = [0.51, 1.0, 2.0, 30.0, 500.0, 8103.0]


def test_beta():
    values = [2**-10, 0.1, 0.25, 0.499, 0.5, 0.503, 0.75, 0.998, 1 - 2**-10]
    (a, b, x), rows = single(*grid(BETAS, BETAS, values))
    wanted = [
        (p - 1) * mp.log(v) + (q - 1) * mp.log(1 - v) - mp.loggamma(p) - mp.loggamma(q) + mp.loggamma(p + q)
        for p, q, v in rows
    ]
    check(PreciseBeta(a, b).log_prob(x), wanted, absolute=6e-6)


def test_gamma_and_dirichlet():
    (a, r, x), rows = single(
        *grid([0.3, 1.0, 50.0, 8000.0], [1e-4, 1.0, 8000.0], [1e-6, 0.3, 1.0, 1.01, 1e4])
    )
    wanted = [p * mp.log(q) + (p - 1) * mp.log(v) - q * v - mp.loggamma(p) for p, q, v in rows]
    check(PreciseGamma(a, r).log_prob(x), wanted)
    for k, alpha in product((3, 64), (0.1, 1.0, 10.0, 1e3, 1e5)):
        z = torch.distributions.Dirichlet(torch.full((k,), max(alpha, 1.0))).sample()
        powers = (mp.mpf(float(torch.tensor(alpha))) - 1) * mp.fsum(
            mp.log(mp.mpf(each)) for each in z.tolist()
        )
        power = mp.mpf(float(torch.tensor(alpha)))
        exact = powers + mp.loggamma(k * power) - k * mp.loggamma(power)
        check(PreciseDirichlet(torch.full((k,), alpha)).log_prob(z)[None], [exact])


def test_divergence_and_entropy_of_gammas():
    pairs = list(product([0.3, 1.0, 50.0, 8000.0], [0.5, 8000.0]))
    (a, r, c, s), rows = single(*zip(*((*q, *p) for q, p in product(pairs, pairs)), strict=True))
    q, p = PreciseGamma(a, r), PreciseGamma(c, s)
    wanted = [
        (a1 - a2) * mp.digamma(a1)
        - mp.loggamma(a1)
        + mp.loggamma(a2)
        + a2 * mp.log(r1 / r2)
        + a1 * (r2 / r1 - 1)
        for a1, r1, a2, r2 in rows
    ]
    check(torch.distributions.kl_divergence(q, p), wanted)
    check(q.entropy(), [x - mp.log(y) + mp.loggamma(x) + (1 - x) * mp.digamma(x) for x, y, _, _ in rows])
    assert isinstance(q, Gamma)


@pytest.mark.parametrize("d", [2, 3, 16])
@pytest.mark.parametrize("kappa", [1e-3, 1.0, 1e2, 8000.0])
def test_power_spherical_near_its_peak(d, kappa):
    """Where its draws are, ``κ log(1 + cos)`` and the constant are thousands and nearly cancel."""
    loc = torch.nn.functional.normalize(torch.randn(d, dtype=torch.float64), dim=0).float()
    p = PowerSpherical(loc, torch.tensor(kappa))
    z = torch.nn.functional.normalize(p.sample((20,)).double(), dim=1).float()
    b, k = mp.mpf(d - 1) / 2, mp.mpf(kappa)
    constant = -2 * b * mp.log(2) - mp.loggamma(b + k) + mp.loggamma(2 * b + k) - b * mp.log(mp.pi)
    wanted = []
    for point in z.tolist():
        along = mp.fsum(mp.mpf(x) * mp.mpf(y) for x, y in zip(point, loc.tolist(), strict=True))
        lengths = mp.norm(point) * mp.norm(loc.tolist())
        wanted.append(k * mp.log((1 + along / lengths) / 2) + constant)
    check(p.log_prob(z), wanted, absolute=2e-5)


def test_continuous_bernoulli_and_its_divergence():
    logits = [0.0, 1e-6, 1e-3, 0.49, 0.51, 5.0, 1e2, 1e4, 1e8, -0.49, -3.0, -1e4]
    (logit, x), rows = single(*grid(logits, [0.0, 1e-7, 0.3, 0.5, 1 - 1e-6, 1.0]))
    wanted = [v * p - (mp.log(mp.expm1(p) / p) if p else 0) for p, v in rows]
    check(ContinuousBernoulli(logit).log_prob(x), wanted)
    (a, b), rows = single(*grid(logits, logits))

    def mean(p):
        return 1 / (1 - mp.exp(-p)) - 1 / p if p else mp.mpf(1) / 2

    def constant(p):
        return mp.log(mp.expm1(p) / p) if p else mp.mpf(0)

    with mp.workdps(80):
        wanted = [(p - q) * mean(p) - constant(p) + constant(q) for p, q in rows]
    found = torch.distributions.kl_divergence(ContinuousBernoulli(a), ContinuousBernoulli(b))
    check(found, wanted, absolute=1e-7)


LOCS = [-1e4, -3.0, -1.01, -0.3, 0.0, 0.77, 1.0, 2.0, 1e4]


def logistic_exactly(loc, log_scale, k, levels):
    above, below = (
        (mp.mpf(2 * j - levels) / (levels - 1) - loc) * mp.exp(-log_scale) for j in (int(k) + 1, int(k))
    )
    if k == 0:
        return -mp.log1p(mp.exp(-above))
    if k == levels - 1:
        return -mp.log1p(mp.exp(below))
    inside = mp.log(-mp.expm1(below - above))
    return inside - mp.log1p(mp.exp(-above)) - mp.log1p(mp.exp(below))


@pytest.mark.parametrize("levels", [2, 8, 256, 65_536])
@pytest.mark.parametrize("log_scale", [-9.0, -5.0, -1.0, 3.0, 9.0])
def test_discretized_logistic(levels, log_scale):
    info = DataInfo((1,), levels=levels)
    ks = sorted({0, 1, levels // 3, levels // 2, levels - 2, levels - 1})
    (loc, scales, k), rows = single(*grid(LOCS, [log_scale], ks))
    p = DiscretizedLogistic(loc, scales, info)
    found = p.log_prob(info.values(k.int()))
    check(found, [logistic_exactly(*row, levels) for row in rows])
    assert (found <= 0).all()
    mixture = DiscretizedLogisticMixture(
        torch.zeros(len(loc), 2), DiscretizedLogistic(loc[:, None], scales[:, None].expand(-1, 2), info)
    )
    check(mixture.log_prob(info.values(k.int())), [logistic_exactly(*row, levels) for row in rows])


def test_moments_of_many_levels():
    """Means and variances over thousands of levels, whose squares have seven digits."""
    p = DiscretizedLogistic(torch.tensor(0.1), torch.tensor(-4.0), DataInfo((1,), levels=4096))
    assert p.mean.item() == pytest.approx(0.55, rel=1e-6)
    assert p.variance.item() == pytest.approx((math.pi * math.exp(-4.0) / 2) ** 2 / 3, rel=1e-4)


@pytest.mark.parametrize("a", [1e-3, 1.0, 10.0, 1e3])
def test_log_cosh(a):
    (x,), rows = single([1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 1e3, 1e6])
    wanted = [-mp.log(mp.cosh(mp.mpf(a) * value)) / mp.mpf(a) for (value,) in rows]
    check(LogCosh(torch.zeros(()), a).log_prob(x), wanted, absolute=0.0)


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1.0, 1e10, 1e30])
@pytest.mark.parametrize("decoder", [GaussianDecoder, LaplaceDecoder], ids=["gaussian", "laplace"])
def test_scales_from_the_smallest_to_the_largest(decoder, scale):
    part = decoder(DataInfo((1,), low=-math.inf, high=math.inf), scale=scale)
    (distance,), _ = single([0.0, 0.1, 1.0, 5.0, -3.0])
    found = part(torch.zeros(5, 1)).log_prob(scale * distance[:, None])
    size = mp.mpf(float(torch.tensor(math.log(scale))))
    wanted = []
    for value in (scale * distance).tolist():
        standard = mp.mpf(value) * mp.exp(-size)
        normal = decoder is GaussianDecoder
        wanted.append(
            (-(standard**2) / 2 - mp.log(2 * mp.pi) / 2 if normal else -abs(standard) - mp.log(2)) - size
        )
    check(found, wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student-t"])
@pytest.mark.parametrize("scale", [1e-31, 1e31, 0.0])
def test_scales_that_single_precision_does_not_hold_are_refused(name, scale):
    from genmod.registry import Registry

    cls = Registry(third_party=False).find("decoder", name).load()
    with pytest.raises(UsageError, match="1e-30"):
        validate(cls, {"scale": scale}, "decoder")


def test_bits():
    (logit,), rows = single([-100.0, -30.0, -19.9, -15.0, -1.0, 0.0, 1.0, 15.0, 19.9, 30.0, 100.0])
    for z, sign in ((0.0, -1), (1.0, 1)):
        p = Bit(logit.clone().requires_grad_(), 0.5)
        value = torch.full_like(logit, z).requires_grad_()
        found = p.log_prob(value)
        check(found, [-mp.log1p(mp.exp(-sign * row[0])) for row in rows], absolute=1e-36)
        assert (found <= 0).all()
        # The gradient is that of z l - log(1 + exp(l)), by z too.
        slopes = torch.autograd.grad(found.sum(), (p.logits, value))
        torch.testing.assert_close(slopes[0], z - logit.sigmoid())
        torch.testing.assert_close(slopes[1], logit)


def test_probabilities_are_never_more_than_one():
    levels = DataInfo((3, 2, 2), levels=8)
    x = levels.values(torch.randint(8, (500, 3, 2, 2)))
    for size in (1.0, 30.0, 1e4):
        logits = size * torch.randn(500, 3, 2, 2, 8)
        assert (LevelCategorical(logits, levels).log_prob(x) <= 0).all()
        best = levels.values(logits.argmax(-1))
        assert (LevelCategorical(logits, levels).log_prob(best) <= 0).all()
        middle = (2 * x - 1)[..., None]
        parts = DiscretizedLogistic(middle.expand(-1, -1, -1, -1, 5), torch.full((5,), -9.0), levels)
        assert (DiscretizedLogisticMixture(size * torch.randn(500, 3, 2, 2, 5), parts).log_prob(x) <= 0).all()
        coupled = CoupledLogisticMixture(size * torch.randn(500, 10, 5, 2, 2), levels)
        assert (coupled.log_prob(x) <= 0).all()


def test_gradients_against_differences():
    def leaf(*values):
        return torch.tensor(values, dtype=torch.float64, requires_grad=True)

    counts = torch.tensor([0.0, 1.0, 7.0, 900.0, 3e6], dtype=torch.float64)
    log_mean, log_r = leaf(-3.0, 0.1, 2.0, 7.0, 14.9), leaf(-4.0, 0.2, 5.0, 8.5, 1.0)
    gate = leaf(-3.0, 0.0, 5.0, 1.0, -8.0)
    x = torch.tensor([-3.0, 0.01, 0.5, 2.0, 40.0], dtype=torch.float64)
    unit = torch.tensor([0.02, 0.3, 0.5, 0.9, 0.999], dtype=torch.float64)
    info = DataInfo((1,), levels=8)
    k = info.values(torch.tensor([0, 1, 3, 6, 7]), torch.float64)
    for density, arguments in (
        (lambda a: LogRatePoisson(a).log_prob(counts), (log_mean,)),
        (lambda a, b: MeanNegativeBinomial(a, b).log_prob(counts), (log_mean, log_r)),
        (
            lambda a, b, g: ZeroInflated(g, MeanNegativeBinomial(a, b)).log_prob(counts),
            (log_mean, log_r, gate),
        ),
        (lambda n, m, s: StudentT(n, m, s).log_prob(x), (log_r.exp(), gate, log_r)),
        (lambda a, b: PreciseBeta(a, b, validate_args=False).log_prob(unit), (log_r.exp(), gate.exp())),
        (lambda m: LogCosh(m, 3.0).log_prob(x), (gate,)),
        (lambda m, s: DiscretizedLogistic(m, s, info).log_prob(k), (gate, log_r)),
    ):
        leaves = tuple(each.detach().requires_grad_() for each in arguments)
        assert torch.autograd.gradcheck(density, leaves, eps=1e-7, atol=1e-4, rtol=1e-4)


def test_excess_and_deviance_against_fifty_digits():
    (z,), rows = single([0.0, 1e-6, 0.5, 1.0, 7.9, 8.1, 33.0, 1e4, 1e12, 1e30])
    wanted = [mp.loggamma(x + 1) - (x * mp.log(x) if x else 0) + x for (x,) in rows]
    check(factorial_excess(z), wanted, absolute=2e-6)
    exact = torch.tensor([float(each) for each in wanted], dtype=torch.float64)
    torch.testing.assert_close(factorial_excess(z.double()), exact, rtol=1e-12, atol=5e-13)
    (x, log_mean), rows = single(*grid([0.0, 1.0, 99.0, 1e7, 10_001_000.0], [-9.0, 0.0, 4.6, math.log(1e7)]))
    mean = log_mean.double().exp()
    found = deviance(x.double(), mean, log_mean.double())
    wanted = [(v * (mp.log(v) - m) if v else 0) - v + mp.exp(m) for v, m in rows]
    torch.testing.assert_close(found, torch.tensor([float(w) for w in wanted], dtype=torch.float64))


def test_where_there_is_no_double_precision(monkeypatch):
    """On devices without it counts keep what single precision can: a thousandth of a nat, and nothing above one."""
    for module in (poisson, negative_binomial):
        monkeypatch.setattr(module, "precise", lambda x: x)
    for rate in (1.0, 1e2, 1e4, 1e6, 1e7):
        (log_rate, log_r, x), rows = single(*grid([math.log(rate)], [3.0], around(rate, rate**0.5)))
        found = LogRatePoisson(log_rate).log_prob(x)
        check(found, [poisson_exactly(m, v) for m, _, v in rows], absolute=2e-3)
        assert (found <= 0).all()
        found = MeanNegativeBinomial(log_rate, log_r).log_prob(x)
        check(found, [negative_binomial_exactly(*row) for row in rows], absolute=2e-3)
