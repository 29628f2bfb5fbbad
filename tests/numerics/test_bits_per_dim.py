"""Bits per dimension: the unit, the noise that makes discrete data continuous, and the bound."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import (
    AffineTransform,
    Independent,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
    constraints,
)

from genmod import Batch, DataInfo, Decoder, TensorSplit, compose, evaluate
from genmod.evaluation import bits_per_dim
from genmod.model.assembly import assemble

LOC, SCALE = 0.4, 0.02


class _Fixed(Decoder):
    """A likelihood that ignores the latents."""

    def __init__(self, data, base):
        super().__init__(data)
        self.base, self.parameter_shape = base, data.shape
        self.support = constraints.independent(constraints.real, 1)

    def forward(self, parameters):
        return Independent(self.base.expand(parameters.shape), 1, validate_args=False)


def uniform(low, high):
    return Uniform(
        torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64), validate_args=False
    )


def logistic(loc, scale):
    transforms = [SigmoidTransform().inv, AffineTransform(loc, scale)]
    return TransformedDistribution(uniform(0.0, 1.0), transforms, validate_args=False)


def model_of(info, base=None, scale=1.0):
    """A model whose posterior is its prior, so that the ELBO is the log-density itself."""
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": scale},
    }
    model = assemble(compose(components=components, latent=2), info).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    if base is not None:
        model.decoder = _Fixed(info, base)
    return model


def measured(model, x, **options):
    return evaluate(model, TensorSplit(Batch(x.double())), "elbo[1]", **options)["bits_per_dim"]


def test_uniform_model_has_eight_bits():
    """256 equally probable values are 8 bits, whatever the values are called."""
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        info = DataInfo((12,), low=low, high=high, levels=256)
        half = (high - low) / 510
        model = model_of(info, uniform(low - half, high + half))
        x = info.values(torch.randint(256, (20, 12), dtype=torch.uint8))
        assert measured(model, x).value == pytest.approx(8.0, abs=1e-12)


def test_one_place_for_the_formula():
    assert bits_per_dim(-10 * math.log(2), 10, 1.0) == pytest.approx(1.0)
    assert bits_per_dim(0.0, 10, 1 / 256) == 8.0
    torch.testing.assert_close(bits_per_dim(torch.tensor([-math.log(4)]), 1, 1.0), torch.tensor([2.0]))


@pytest.mark.slow
def test_bound_holds_in_each_of_256_bins():
    """``E_u log p(x + u) ≤ log P(x)`` with P the mass of a known logistic in the bin."""
    info = DataInfo((1,), levels=256)
    model, step = model_of(info, logistic(LOC, SCALE)), 1 / 255
    reference = stats.logistic(LOC, SCALE)
    for level in range(256):
        x = level / 255
        # By symmetry the upper tail is a lower one, which subtraction does not cancel.
        ends = sorted((x - step / 2 - LOC, x + step / 2 - LOC), key=abs)
        near, far = (-abs(end) for end in ends)
        inside = ends[0] * ends[1] < 0
        mass = (
            1 - stats.logistic(0, SCALE).cdf([near, far]).sum()
            if inside
            else -np.diff(stats.logistic(0, SCALE).cdf([near, far]))[0]
        )
        row = measured(model, torch.full((200, 1), x), seed=level)
        assert row.value >= -math.log2(mass) - 4 * row.standard_error - 1e-9
        mean = (
            integrate.quad(reference.logpdf, x - step / 2, x + step / 2, points=[LOC] if inside else None)[0]
            / step
        )
        exact = -mean / math.log(2) - math.log2(step)
        assert exact >= -math.log2(mass) - 1e-9
        assert abs(row.value - exact) <= 5 * row.standard_error + 1e-9


def test_units_of_the_data_do_not_matter():
    """The same pixels from 0 to 1, from -1 to 1 and from 0 to 255, under the same model in those units."""
    stored = torch.randint(256, (100, 12), dtype=torch.uint8)
    found = []
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        info = DataInfo((12,), low=low, high=high, levels=256)
        model = model_of(info, scale=0.5 * (high - low))
        with torch.no_grad():
            model.network.layers[0].bias.fill_((low + high) / 2)
        found.append(measured(model, info.values(stored)).value)
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


def test_sharp_density_gains_nothing_from_discrete_values():
    """Without noise a density could be infinitely high at the 256 values; with it, at least 0 bits are needed."""
    for high in (1.0, 255.0):
        info = DataInfo((4,), low=0.0, high=high, levels=256)
        model = model_of(info, scale=1e-3 * high / 255)
        assert measured(model, torch.zeros(50, 4)).value > 0


def test_probabilities_of_binary_data_need_no_noise():
    info = DataInfo((6,), levels=2)
    components = {"encoder": {"name": "mlp", "hidden": []}, "decoder": "bernoulli"}
    model = assemble(compose(components=components, latent=2), info).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert measured(model, (torch.rand(10, 6) < 0.5).double()).value == pytest.approx(1.0, abs=1e-7)


def test_continuous_data_have_none():
    info = DataInfo((4,), low=-math.inf, high=math.inf)
    result = evaluate(model_of(info), TensorSplit(Batch(torch.randn(10, 4, dtype=torch.float64))))
    assert "bits_per_dim" not in [row.name for row in result.rows]
    assert "continuous" in result.undefined["bits_per_dim"]
