"""Laws of decoders."""

import pytest
import torch

from genmod import DataInfo, UsageError
from genmod.testing.inputs import examples

RANGES = (
    {"levels": 2},
    {"levels": 256},
    {},
    {"low": -torch.inf, "high": torch.inf},
    {"low": 0.0, "high": torch.inf},
    {"low": 0.0, "high": torch.inf, "counts": True},
)


def built(decoder, *shapes):
    """The decoder for data of several shapes, for the first range that it accepts."""
    for limits in RANGES:
        try:
            return [(decoder.build(info).double(), info) for info in (DataInfo(s, **limits) for s in shapes)]
        except UsageError:
            continue
    pytest.skip("it refuses data of these shapes")


def test_repeating_the_batch_leaves_the_mean_as_it_is(decoder):
    """In training too, where a likelihood may look at the whole batch."""
    ((part, info),) = built(decoder, (6,))
    x = part.observe(examples(info, 4)).double()
    parameters = torch.randn(4, *part.parameter_shape, dtype=torch.float64)
    once = part(parameters).log_prob(x).mean()
    twice = part(torch.cat([parameters, parameters])).log_prob(torch.cat([x, x])).mean()
    torch.testing.assert_close(once, twice, rtol=1e-12, atol=1e-12)


def test_log_density_is_the_sum_over_values(decoder):
    """Neither their mean nor anything else: the same value twice has twice the log-density."""
    (one, info), (two, _) = built(decoder, (1,), (2,))
    if not one.is_density:
        pytest.skip("it declares that it is no density")
    one, two = one.eval(), two.eval()
    x = one.observe(examples(info, 5)).double()
    parameters = torch.randn(5, *one.parameter_shape, dtype=torch.float64)
    axis = next(
        i for i, (a, b) in enumerate(zip(parameters.shape[1:], two.parameter_shape, strict=True), 1) if a != b
    )
    doubled = two(parameters.repeat_interleave(2, axis)).log_prob(x.repeat_interleave(2, 1))
    torch.testing.assert_close(doubled, 2 * one(parameters).log_prob(x))
