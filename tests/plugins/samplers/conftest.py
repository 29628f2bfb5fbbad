"""Codes whose distribution is known, and small models."""

import copy
from functools import cache

import pytest
import torch
from sklearn.datasets import make_moons

import genmod


@pytest.fixture(scope="session")
def moons():
    """Two half circles side by side: training and other points, ``(1500, 2)`` and ``(500, 2)``."""
    return tuple(
        torch.from_numpy(make_moons(count, noise=0.05, random_state=seed)[0]).double()
        for count, seed in ((1500, 0), (500, 1))
    )


@pytest.fixture(scope="session")
def normal():
    """A correlated normal in four dimensions, and 4,000 draws of it."""
    fixed = torch.Generator().manual_seed(3)
    factor = torch.randn(4, 4, generator=fixed, dtype=torch.float64).tril() + torch.eye(4)
    loc = torch.tensor([5.0, -2.0, 0.0, 100.0], dtype=torch.float64)
    noise = torch.randn(4000, 4, generator=fixed, dtype=torch.float64)
    truth = torch.distributions.MultivariateNormal(loc, factor @ factor.T)
    return truth, loc + noise @ factor.T


@pytest.fixture
def autoencoder():
    """A small plain autoencoder of digits, hardly trained."""
    return copy.deepcopy(_trained("autoencoder"))


@pytest.fixture
def vae():
    """A small VAE of digits, hardly trained."""
    return copy.deepcopy(_trained("vae"))


@cache
def _trained(recipe):
    model = genmod.build(recipe, encoder={"name": "mlp", "hidden": [16]}, latent=3)
    genmod.train(model, steps=10, device="cpu")
    return model
