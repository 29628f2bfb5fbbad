"""The KL divergence: against exact values, against draws, and near zero."""

from contextlib import suppress
from itertools import product

import mpmath
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence
from torch.distributions.kl import _KL_REGISTRY

from genmod import LogScaleNormal, UsageError, diagonal_normal
from genmod.distributions import Coded, CodedPrior, PreciseGamma, StandardNormal, standard_normal
from genmod.distributions.probing import same_support
from genmod.plugins.decoders.continuous_bernoulli import ContinuousBernoulli
from genmod.plugins.posteriors._bits import Bit
from genmod.plugins.posteriors._correlated import Correlated
from genmod.plugins.posteriors._side_by_side import Product
from genmod.plugins.posteriors._simplex import OneHot
from genmod.plugins.posteriors._sphere import Directions
from genmod.plugins.posteriors.logistic_normal import LogisticNormal
from genmod.plugins.priors.uniform_sphere import UniformSphere
from genmod.registry.lookup import Registry

REGISTRY = Registry(third_party=False)
GRID = [(m, s) for m in (0.0, 1e-3, -0.7, 4.0) for s in (-3.0, -0.5, -1e-3, 0.0, 1e-3, 0.8, 2.0)]


def exact(mean_q, log_scale_q, mean_p, log_scale_p):
    """KL of two normals, to 50 digits."""
    with mpmath.workdps(50):
        mq, lq, mp, lp = (mpmath.mpf(float(v)) for v in (mean_q, log_scale_q, mean_p, log_scale_p))
        ratio = 2 * (lq - lp)
        return float((mpmath.expm1(ratio) - ratio + ((mq - mp) * mpmath.exp(-lp)) ** 2) / 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)], ids=str)
def test_normals_against_fifty_digits(dtype, tolerance):
    for (mq, sq), (mp, sp) in product(GRID, GRID):
        q, p = (
            LogScaleNormal(*(torch.tensor(v, dtype=dtype) for v in pair)) for pair in ((mq, sq), (mp, sp))
        )
        value, expected = kl_divergence(q, p).item(), exact(q.loc, q.log_scale, p.loc, p.log_scale)
        assert value == pytest.approx(expected, rel=tolerance, abs=tolerance * (1 + mq**2))


def test_normals_against_torch():
    for (mq, sq), (mp, sp) in product(GRID, GRID):
        arguments = [torch.tensor(v, dtype=torch.float64) for v in (mq, sq, mp, sp)]
        ours = kl_divergence(LogScaleNormal(*arguments[:2]), LogScaleNormal(*arguments[2:]))
        theirs = kl_divergence(
            Normal(arguments[0], arguments[1].exp()), Normal(arguments[2], arguments[3].exp())
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_near_zero():
    """In single precision ``exp(l) - 1 - l`` would lose five percent of 5e-5; at least a thousandth is kept."""
    shifts = torch.logspace(-3, -0.5, 60)
    q = LogScaleNormal(torch.zeros(60), torch.cat([shifts[:30], -shifts[30:]]))
    p = LogScaleNormal(torch.zeros(60), torch.zeros(60))
    value = kl_divergence(q, p).double()
    reference = torch.tensor([exact(0, log_scale, 0, 0) for log_scale in q.log_scale], dtype=torch.float64)
    kept = reference >= 1e-6
    assert kept.sum() > 30
    assert ((value - reference).abs() / reference)[kept].max() <= 1e-3
    assert (value >= 0).all()


def test_zero_and_flat_where_both_are_equal():
    loc, log_scale = torch.randn(100).requires_grad_(), torch.randn(100).requires_grad_()
    value = kl_divergence(LogScaleNormal(loc, log_scale), LogScaleNormal(loc.detach(), log_scale.detach()))
    value.sum().backward()
    assert not value.any()
    assert not loc.grad.any()
    assert not log_scale.grad.any()


def test_never_negative():
    q, p = (LogScaleNormal(torch.randn(100_000), torch.randn(100_000)) for _ in range(2))
    assert (kl_divergence(q, p) >= 0).all()
    near = LogScaleNormal(p.loc * (1 + 1e-7), p.log_scale + 1e-7 * torch.randn(100_000))
    assert (kl_divergence(near, p) >= -1e-13).all()


def test_gradient_against_autograd_of_the_definition():
    """``E_q[log q - log p]`` with the exact moments of q put in."""
    loc = torch.randn(50, dtype=torch.float64, requires_grad=True)
    log_scale = torch.randn(50, dtype=torch.float64, requires_grad=True)
    p = LogScaleNormal(
        torch.full((50,), 0.3, dtype=torch.float64), torch.full((50,), -0.4, dtype=torch.float64)
    )
    value = kl_divergence(LogScaleNormal(loc, log_scale), p).sum()
    moments = ((2 * log_scale).exp() + (loc - 0.3) ** 2) / (
        2 * torch.exp(torch.tensor(-0.8, dtype=torch.float64))
    )
    definition = (-0.5 - log_scale + moments - 0.4).sum()
    torch.testing.assert_close(value, definition)
    for a, b in zip(*(torch.autograd.grad(f, (loc, log_scale)) for f in (value, definition)), strict=True):
        torch.testing.assert_close(a, b)


def closed_forms():
    """Every posterior and prior on the same support; the tests skip those that have no closed form."""
    posteriors, priors = (
        [(found.name, found.load()) for found in REGISTRY.components(kind)] for kind in ("posterior", "prior")
    )
    q_of = dict(built(posteriors, (5,), (3,)))
    p_of = dict(built([(name, prior) for name, prior in priors if not prior.wants_context], (3,)))
    for (posterior, q), (prior, p) in product(q_of.items(), p_of.items()):
        if q.support is not None and p.support is not None and same_support(q.support, p.support):
            yield pytest.param(type(q), type(p), id=f"{posterior}-{prior}")


def built(parts, *shapes):
    """The names and the parts that accept these shapes."""
    with torch.device("meta"):
        for name, part in parts:
            with suppress(UsageError):
                yield name, part(*shapes)


CLOSED_FORMS = list(closed_forms())
# Long, or the same densities as others.
LONG = {
    *(
        "vmf-uniform-sphere",
        "power-spherical-uniform-sphere",
        "gamma-gamma",
        "logistic-normal-logistic-normal",
    ),
    *("semi-amortised-normal", "semi-amortised-laplace", "laplace-normal", "hmc-normal", "hmc-laplace"),
}


@pytest.mark.parametrize(
    ("posterior", "prior"),
    [
        pytest.param(*each.values, id=each.id, marks=[pytest.mark.slow] * (each.id in LONG))
        for each in CLOSED_FORMS
    ],
)
def test_closed_form_against_a_million_draws(posterior, prior):
    q_of, p_of = posterior((5,), (3,)).double(), prior((3,)).double()
    with torch.no_grad():
        q, p = q_of(2 * torch.randn(2, 5, dtype=torch.float64)), p_of()
        try:
            value = kl_divergence(q, p)
        except NotImplementedError:
            pytest.skip("no closed form")
        total = square = torch.zeros(2, dtype=torch.float64)
        for _ in range(10):
            z = q.sample((100_000,))
            ratio = q.log_prob(z) - p.log_prob(z) - value
            total, square = total + ratio.sum(0), square + ratio.square().sum(0)
    error = (square / 1e6 - (total / 1e6) ** 2).sqrt() / 1e3
    assert ((total / 1e6).abs() <= 4 * error).all()


@pytest.mark.parametrize("size", [2.0, 30.0])
@pytest.mark.parametrize(("posterior", "prior"), CLOSED_FORMS)
def test_single_precision_against_double(posterior, prior, size):
    q_of, p_of = posterior((5,), (3,)), prior((3,))
    features = size * torch.randn(200, 5)
    try:
        single = kl_divergence(q_of(features), p_of())
    except NotImplementedError:
        pytest.skip("no closed form")
    double = kl_divergence(q_of.double()(features.double()), p_of.double()())
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-6)


def test_independent_dimensions_add_up():
    q = diagonal_normal(torch.randn(4, 2, 3), torch.randn(4, 2, 3), 2)
    p = diagonal_normal(torch.randn(2, 3), torch.randn(2, 3), 2)
    each = kl_divergence(q.base_dist, p.base_dist)
    assert each.shape == (4, 2, 3)
    torch.testing.assert_close(kl_divergence(q, p), each.sum((1, 2)))


def test_every_closed_form_of_ours_is_tested_here():
    """A new ``register_kl`` in genmod needs its own reference above."""
    ours = {pair for pair, function in _KL_REGISTRY.items() if function.__module__.startswith("genmod")}
    assert ours == {
        (LogScaleNormal, LogScaleNormal),
        (LogScaleNormal, StandardNormal),
        (ContinuousBernoulli, ContinuousBernoulli),
        (Coded, CodedPrior),
        (Correlated, Independent),
        (OneHot, OneHot),
        (LogisticNormal, LogisticNormal),
        (Bit, Bit),
        (PreciseGamma, PreciseGamma),
        (Product, Product),
        (Directions, UniformSphere),
        (UniformSphere, UniformSphere),
    }


def test_mixes_with_the_distributions_of_torch():
    """A normal of a plugin has a closed form with ours."""
    ours = diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
    theirs = Independent(Normal(torch.ones(2), torch.ones(2)), 1)
    torch.testing.assert_close(kl_divergence(ours, theirs), torch.tensor(1.0))
    torch.testing.assert_close(kl_divergence(theirs, ours), torch.tensor(1.0))


@pytest.mark.parametrize("first", [(), (3,), (4, 1)])
@pytest.mark.parametrize("second", [(), (3,), (4, 1)])
def test_batches_of_standard_normals_broadcast(first, second):
    """Although nothing is computed of the second."""
    q, p = (standard_normal(torch.zeros(*shape, 2), 1) for shape in (first, second))
    assert kl_divergence(q, p).shape == torch.broadcast_shapes(first, second)
