"""Posteriors and priors in double precision, as small as they can be."""

from collections.abc import Callable

import pytest
import torch
from torch.distributions import Distribution

from genmod import diagonal_normal


def _posterior(batch: int = 4, latents: int = 3, spread: float = 1.0) -> Distribution:
    loc = spread * torch.randn(batch, latents, dtype=torch.float64)
    return diagonal_normal(loc, 0.4 * torch.randn(batch, latents, dtype=torch.float64) - 0.3, 1)


def _prior(latents: int = 3) -> Distribution:
    zeros = torch.zeros(latents, dtype=torch.float64)
    return diagonal_normal(zeros, zeros, 1)


@pytest.fixture
def posterior() -> Callable[..., Distribution]:
    """Diagonal normals for each example of a batch."""
    return _posterior


@pytest.fixture
def prior() -> Callable[..., Distribution]:
    """The standard normal."""
    return _prior
