"""A linear-Gaussian model whose bounds and gradients are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmod.interfaces.objective import Objective
from genmod.model.latent_variable import LatentVariableModel
from genmod.testing.reference import DATA, reference_model, set_exact_posterior


def _model(objective: Objective, *, exact: bool = False) -> LatentVariableModel:
    """Always with the same weights, whatever the objective."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = reference_model(objective)
    if exact:
        set_exact_posterior(model)
    return model


@pytest.fixture
def model_of() -> Callable[..., LatentVariableModel]:
    """The reference model with an objective; its posterior is wrong, or exact where that is asked for."""
    return _model


@pytest.fixture
def x() -> Tensor:
    """Two examples."""
    return torch.tensor([[0.9, -0.6, 0.3], [-1.1, 0.2, 0.5]], dtype=torch.float64)[:, : DATA.size]
