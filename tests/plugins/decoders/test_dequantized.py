"""Dequantization: the expected log-density over a cell bounds the log-probability of the cell, for every density."""

import pytest
import torch

from genmod import DataInfo, UsageError
from genmod.options.schema import options_of, validate
from genmod.registry.lookup import Registry

LEVELS = 256
REGISTRY = Registry(third_party=False)
CELLS = 8
"""Every so many levels one is looked at, and both ends."""


def _classes():
    """Every likelihood of images of 256 levels that is a density and no probability."""
    for provided in REGISTRY.components("decoder"):
        cls = provided.load()
        for data in (DataInfo((1, 8, 8), levels=LEVELS), DataInfo((1, 8, 8), high=255.0, levels=LEVELS)):
            try:
                part = cls(data)
            except UsageError:
                continue
            if part.is_density and not part.support.is_discrete:
                yield pytest.param(cls, id=provided.name)
                break


@pytest.mark.parametrize("cls", list(_classes()))
def test_every_density_of_images_can_dequantize(cls):
    assert "dequantize" in [option.name for option in options_of(cls)]


@pytest.mark.parametrize("high", [1.0, 255.0])
@pytest.mark.parametrize("cls", list(_classes()))
@torch.no_grad()
def test_expected_log_density_is_below_the_log_probability_of_the_cell(cls, high):
    data = DataInfo((1,), high=high, levels=LEVELS)
    try:
        part = cls(data, **validate(cls, {"dequantize": True}, "decoder")).double().eval()
    except UsageError:
        pytest.skip("it refuses such data")
    values = data.values(torch.arange(LEVELS), torch.float64)[:, None]
    spread = torch.stack([part.observe(values) for _ in range(1000)])
    low, high = spread.amin(0), spread.amax(0)
    cell = part.cell
    # The draws fill cells of this width, which lie side by side: around the levels, or within the unit interval.
    step = (data.high - data.low) / (LEVELS - 1)
    middle = values if cell == pytest.approx(step) else (torch.arange(LEVELS)[:, None] + 0.5) / LEVELS
    assert cell == pytest.approx(step) or cell == 1 / LEVELS
    assert ((low - (middle - cell / 2)).abs() / cell).max() < 0.02
    assert ((high - (middle + cell / 2)).abs() / cell).max() < 0.02
    for _ in range(5):
        p = part(2 * torch.randn(part.parameter_shape, dtype=torch.float64))
        chosen = [*range(0, LEVELS, CELLS), LEVELS - 1]
        # Jensen's inequality, both sides by the midpoint rule over the cell.
        points = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000 - 0.5
        density = p.log_prob((middle[chosen, 0] + cell * points[:, None])[..., None])
        expected, probability = density.mean(0), density.logsumexp(0) - torch.tensor(4000.0).log()
        assert (expected <= probability + 1e-12).all()
        sampled = p.log_prob(spread[:, chosen])
        error = sampled.std(0) / len(spread) ** 0.5
        assert ((sampled.mean(0) - expected).abs() < 6 * error + 1e-9).all()
        fewer = (torch.arange(100, dtype=torch.float64) + 0.5) / 100 - 0.5
        every = p.log_prob((middle[:, 0] + cell * fewer[:, None])[..., None]).exp().mean(0) * cell
        assert every.sum() < 1 + 1e-4


def test_bits_of_a_dequantized_uniform_density_are_those_of_the_levels():
    """A density of 1 over the unit interval costs exactly log 256 for each value."""
    cls = REGISTRY.find("decoder", "continuous-bernoulli").load()
    part = cls(DataInfo((1,), levels=LEVELS), dequantize=True)
    x = part.observe(part.data.values(torch.arange(LEVELS))[:, None])
    bits = -(part(torch.zeros(1)).log_prob(x) + torch.tensor(part.cell).log()) / torch.tensor(2.0).log()
    torch.testing.assert_close(bits, torch.full_like(bits, 8.0))
