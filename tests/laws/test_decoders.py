"""Laws of decoders: likelihoods."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import DataInfo, UsageError
from genmod.testing.quadrature import grid

ONE_VALUE = (
    DataInfo((1,), levels=2),
    DataInfo((1,), levels=256),
    DataInfo((1,), low=-np.inf, high=np.inf),
    DataInfo((1,), low=-1.0, high=1.0),
    DataInfo((1,), high=np.inf, counts=True),
)


def test_shapes(decoder, infos, examples):
    for part, info in decoder.each(infos):
        x = part.observe(examples(info, 3))
        for batch in ((), (3,), (2, 3)):
            likelihood = part(torch.randn(*batch, *part.parameter_shape))
            assert (likelihood.batch_shape, likelihood.event_shape) == (batch, info.shape)
            assert likelihood.mean.shape == (*batch, *info.shape)
            assert likelihood.log_prob(x if batch else x[0]).shape == batch
            assert likelihood.sample((2,)).shape == (2, *batch, *info.shape)


def test_observations_and_draws_lie_in_the_support(decoder, infos, examples):
    for part, info in decoder.each(infos):
        assert part.support.event_dim == len(info.shape)
        x, observed = part.observe(examples(info, 50)), part.observed
        assert part.support.check(x).all()
        assert x.shape == (50, *observed.shape)
        assert x.min() >= observed.low
        assert x.max() <= observed.high
        if observed.levels == 2:
            assert set(x.unique().tolist()) <= {observed.low, observed.high}
        if part.is_density:
            draws = part.eval()(torch.randn(50, *part.parameter_shape)).sample()
            assert part.support.check(draws).all()


def test_density_is_normalised_and_is_that_of_the_draws(decoder):
    """Over one value: by summing where the support is discrete, by integrating where it is not."""
    if not decoder.usual().is_density:
        pytest.skip("it declares that it is no density")
    parts = [part for part, _ in decoder.each(ONE_VALUE) if part.is_density]
    for part in parts:
        part = part.double().eval()
        check = _check_discrete if part.support.is_discrete else _check_continuous
        for parameters in 2 * torch.randn(3, *part.parameter_shape, dtype=torch.float64):
            with torch.no_grad():
                check(part(parameters))


def _points(likelihood):
    """Points of the support and their probabilities, by summing or by double-exponential quadrature."""
    draws = likelihood.sample((20_000,))
    base = likelihood.base_dist
    if likelihood.support.is_discrete and base.has_enumerate_support:
        points, weights = base.enumerate_support().reshape(-1, 1), 1.0
    else:
        points, weights = grid(likelihood.support, draws)
    return draws, points[:, 0], (likelihood.log_prob(points).exp() * weights)


def _check_discrete(likelihood):
    draws, values, probabilities = _points(likelihood)
    assert abs(probabilities.sum() - 1) < 1e-12
    common = probabilities > 1e-3
    counts = torch.stack([(draws[:, 0] - value).abs().lt(1e-6).sum() for value in values[common]])
    seen = np.append(counts.numpy(), 20_000 - counts.sum())
    expected = 20_000 * np.append(probabilities[common].numpy(), 1 - probabilities[common].sum())
    seen, expected = seen[expected > 1], expected[expected > 1]
    assert len(seen) == 1 or stats.chisquare(seen, expected, sum_check=False).pvalue > 1e-3


def _check_continuous(likelihood):
    draws, points, mass = _points(likelihood)
    assert abs(mass.sum() - 1) < 1e-6
    cumulative = mass.cumsum(0) - mass / 2
    uniform = np.interp(draws[:, 0].numpy(), points.numpy(), cumulative.numpy())
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_log_density_is_the_sum_over_values(decoder):
    """Neither their mean nor anything else: one value alone, one by one, and both at once."""
    info = decoder.data
    try:
        both = decoder.build(replace(info, shape=(2,))).double().eval()
    except UsageError:
        pytest.skip("it is for images")
    one = decoder.build(replace(info, shape=(1,))).double().eval()
    x = both.observe(torch.rand(6, 2, dtype=torch.float64))
    parameters = torch.randn(6, *both.parameter_shape, dtype=torch.float64)
    each = [one(parameters[..., i : i + 1]).log_prob(x[:, i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both(parameters).log_prob(x), sum(each))


@pytest.mark.parametrize("size", [30.0, 1e4])
def test_parameters_of_any_size_give_finite_densities(decoder, infos, size, examples):
    for part, info in decoder.each(infos):
        parameters = (size * torch.randn(16, *part.parameter_shape)).requires_grad_()
        likelihood = part(parameters)
        density = likelihood.log_prob(part.observe(examples(info, 16)))
        assert density.isfinite().all()
        assert likelihood.mean.isfinite().all()
        density.sum().backward()
        assert parameters.grad.isfinite().all()


def test_repeating_the_batch_leaves_the_mean_as_it_is(decoder, examples):
    """In training too, where a likelihood may look at the whole batch."""
    part = decoder.usual().double()
    x = part.observe(examples(decoder.data, 4)).double()
    parameters = torch.randn(4, *part.parameter_shape, dtype=torch.float64)
    once = part(parameters).log_prob(x).mean()
    twice = part(torch.cat([parameters, parameters])).log_prob(torch.cat([x, x])).mean()
    torch.testing.assert_close(once, twice, rtol=1e-12, atol=1e-12)
