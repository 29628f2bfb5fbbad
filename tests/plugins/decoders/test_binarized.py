"""Grey values as the probabilities of binary ones."""

import math

import torch

from genmod import DataInfo
from genmod.plugins.decoders.bernoulli import BernoulliDecoder


def test_binary_values_are_drawn_with_their_probabilities():
    decoder = BernoulliDecoder(DataInfo((1, 16, 16), levels=256), binarize="dynamic")
    x = (torch.arange(256) / 255).reshape(1, 1, 16, 16)
    torch.manual_seed(0)
    n = 10_000
    drawn = decoder.observe(x.expand(n, 1, 16, 16))
    assert drawn.dtype == x.dtype
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    mean = drawn.mean(0, dtype=torch.float64).flatten()
    assert (mean[0], mean[-1]) == (0, 1)
    k = torch.arange(1, 255, dtype=torch.float64) / 255
    z = (mean[1:-1] - k) / (k * (1 - k) / n).sqrt()
    # Of independent draws, the squares sum to their number, give or take the square root of twice that.
    assert abs(float(z.square().sum()) - 254) < 4 * math.sqrt(2 * 254)
    assert float(z.abs().max()) < 4.5
