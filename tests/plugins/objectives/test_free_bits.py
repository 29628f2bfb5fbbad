"""Free bits of groups of latents, on rates that are set by hand."""

import pytest
import torch

from genmod import diagonal_normal
from genmod.plugins.objectives.elbo import ELBO
from genmod.testing.reference import reference_model

RATES = torch.tensor(
    [[[0.2, 0.6, 0.1], [1.5, 0.3, 0.4]], [[0.4, 0.2, 0.9], [0.1, 0.1, 0.2]]], dtype=torch.float64
)
"""Nats by example, channel and place."""


def penalty(group, by, free_bits):
    model = reference_model(ELBO(free_bits=free_bits, free_bits_by=by, free_bits_group=group), latent=(2, 3))
    model.encode = lambda x: diagonal_normal((2 * RATES).sqrt(), torch.zeros_like(RATES), 2)
    terms = model.terms(torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(terms.values["rate"], RATES.sum((1, 2)))
    return (terms.loss - terms.values["distortion"].mean()).item()


@pytest.mark.parametrize("by", ["batch", "example"])
@pytest.mark.parametrize("free_bits", [0.35, 1.0, 2.5])
@pytest.mark.parametrize("group", ["latent", "channel", "all"])
def test_each_group_has_its_own(group, by, free_bits):
    parts = {"latent": RATES.reshape(2, 6), "channel": RATES.sum(2), "all": RATES.sum((1, 2))[:, None]}[group]
    counted = parts.mean(0)[None] if by == "batch" else parts
    expected = counted.clamp(min=free_bits).sum(1).mean().item()
    assert penalty(group, by, free_bits) == pytest.approx(expected, rel=1e-12)


def test_a_row_of_latents_has_channels_of_one():
    rates = RATES[:, 0]
    losses = []
    for group in ("latent", "channel"):
        model = reference_model(ELBO(free_bits=0.35, free_bits_group=group), latent=(3,))
        model.encode = lambda x: diagonal_normal((2 * rates).sqrt(), torch.zeros_like(rates), 1)
        terms = model.terms(torch.zeros(2, 3, dtype=torch.float64))
        losses.append((terms.loss - terms.values["distortion"].mean()).item())
    assert losses == pytest.approx([rates.mean(0).clamp(min=0.35).sum().item()] * 2)
