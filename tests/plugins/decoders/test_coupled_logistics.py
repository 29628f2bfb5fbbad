"""The mixture of logistics whose colours depend on each other, against enumeration and by hand."""

import itertools
import math

import numpy as np
import pytest
import torch

from genmod import DataInfo, UsageError, bounded_log_scale
from genmod.plugins.decoders._coupled_logistics import CoupledLogisticMixture
from genmod.plugins.decoders.discretized_logistic_mixture import (
    DiscretizedLogisticMixture,
    DiscretizedLogisticMixtureDecoder,
)


def decoder(levels, shape=(3, 1, 1), components=3, **range_):
    return DiscretizedLogisticMixtureDecoder(
        DataInfo(shape, levels=levels, **range_), components=components, coupled=True
    )


def every_pixel(info):
    values = info.values(torch.arange(info.levels), torch.float64)
    return torch.cartesian_prod(values, values, values).reshape(-1, 3, 1, 1)


@pytest.mark.parametrize("range_", [{}, {"low": -1.0}, {"high": 255.0}], ids=str)
@pytest.mark.parametrize("levels", [2, 4, 7])
@pytest.mark.parametrize("size", [0.1, 1.0, 5.0])
def test_sums_to_one_over_all_colours(levels, size, range_):
    part = decoder(levels, **range_)
    p = part(size * torch.randn(20, *part.parameter_shape, dtype=torch.float64))
    total = p.log_prob(every_pixel(part.data)[:, None]).exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


def _mass(k, loc, scale, levels):
    """By the cumulative distribution function, in Python's own numbers."""

    def cdf(edge):
        return 1 / (1 + math.exp(-((2 * edge - levels) / (levels - 1) - loc) / scale))

    return (1 if k == levels - 1 else cdf(k + 1)) - (0 if k == 0 else cdf(k))


def test_against_the_formula():
    levels, components = 4, 2
    part = decoder(levels, components=components)
    parameters = torch.randn(10, components, 1, 1, dtype=torch.float64)
    logits, *each = parameters[:, :, 0, 0].tolist()
    locs, raw, coefficients = each[:3], each[3:6], np.tanh(each[6:])
    scales = bounded_log_scale(torch.tensor(raw, dtype=torch.float64)).exp().tolist()
    weights = np.exp(logits) / np.exp(logits).sum()
    for ks in itertools.product(range(levels), repeat=3):
        r, g, _ = (2 * k / (levels - 1) - 1 for k in ks)
        expected = 0.0
        for m in range(components):
            middles = (
                locs[0][m],
                locs[1][m] + coefficients[0][m] * r,
                locs[2][m] + coefficients[1][m] * r + coefficients[2][m] * g,
            )
            masses = [
                _mass(k, loc, scale[m], levels) for k, loc, scale in zip(ks, middles, scales, strict=True)
            ]
            expected += weights[m] * math.prod(masses)
        x = torch.tensor(ks, dtype=torch.float64).reshape(3, 1, 1) / (levels - 1)
        assert part(parameters).log_prob(x).exp().item() == pytest.approx(expected, rel=1e-9)


def test_draws_have_these_probabilities():
    part = decoder(3)
    p = part(torch.randn(part.parameter_shape, dtype=torch.float64))
    every = every_pixel(part.data)
    draws = p.sample((100_000,))
    seen = (draws[:, None] == every).all((2, 3, 4)).double()
    expected = p.log_prob(every).exp()
    error = (expected * (1 - expected) / len(draws)).sqrt()
    assert ((seen.mean(0) - expected).abs() < 5 * error + 1e-9).all()


def test_without_coefficients_and_in_one_component_colours_are_independent():
    coupled = decoder(256, (3, 2, 5), components=1)
    plain = DiscretizedLogisticMixtureDecoder(coupled.data, components=1)
    parameters = torch.randn(4, 10, 1, 2, 5, dtype=torch.float64)
    parameters[:, 7:] = 0
    same = torch.stack([torch.zeros_like(parameters[:, 1:4]), parameters[:, 1:4], parameters[:, 4:7]], 1)
    p, q = coupled(parameters), plain(same.movedim(2, 3))
    x = coupled.data.values(torch.randint(256, (4, 3, 2, 5)), torch.float64)
    torch.testing.assert_close(p.log_prob(x), q.log_prob(x))
    torch.testing.assert_close(p.mean, q.mean)
    assert isinstance(q.base_dist, DiscretizedLogisticMixture)


def test_coupled_colours_vary_together():
    part = decoder(256, components=1)
    parameters = torch.zeros(10, 1, 1, 1)
    parameters[4:7] = torch.tensor([-2.0, -4.0, -4.0])[:, None, None, None]
    parameters[7:] = torch.tensor([3.0, 0.0, -3.0])[:, None, None, None]
    red, green, blue = part(parameters).sample((2000,)).reshape(-1, 3).T
    assert torch.corrcoef(torch.stack([red, green]))[0, 1] > 0.95
    assert torch.corrcoef(torch.stack([green, blue]))[0, 1] < -0.95


def test_mean_is_that_of_the_draws_where_nothing_is_cut_off():
    part = decoder(256)
    parameters = 0.1 * torch.randn(part.parameter_shape, dtype=torch.float64)
    parameters[4:7] = -4
    p = part(parameters)
    draws = p.sample((50_000,))
    assert ((draws.mean(0) - p.mean).abs() < 5 * draws.std(0) / len(draws) ** 0.5).all()


def test_shapes_of_batches_and_draws():
    part = decoder(4, (3, 2, 5))
    p = part(torch.randn(6, 7, *part.parameter_shape))
    assert (p.batch_shape, p.event_shape) == ((6, 7), (3, 2, 5))
    x = p.sample((8, 9))
    assert x.shape == (8, 9, 6, 7, 3, 2, 5)
    assert p.log_prob(x).shape == (8, 9, 6, 7)
    assert isinstance(p, CoupledLogisticMixture)
    assert p.expand((5, 6, 7)).log_prob(x[0, 0]).shape == (5, 6, 7)
    assert p.support.check(x).all()


@pytest.mark.parametrize("shape", [(3,), (1, 8, 8), (4, 8, 8)])
def test_other_than_three_channels_are_refused(shape):
    with pytest.raises(UsageError, match="3 channels"):
        decoder(256, shape)
