"""What is shown of a likelihood: its mean, and of categories the most probable one."""

from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.figures.views import evaluating
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["decoded", "typical"]


def typical(likelihood: Any, data: DataInfo) -> Tensor:
    """The mean; of columns of more than two categories, whose numbers have no mean, the most probable category.

    Args:
        likelihood: of examples, ``event_shape data.shape``.
        data: knows the columns.
    """
    mean: Tensor = likelihood.mean
    several = [column.coded and len(column.values) > 2 for column in data.modelled]
    if not any(several):
        return mean
    return torch.where(torch.tensor(several, device=mean.device), likelihood.mode, mean)


def decoded(model: LatentVariableModel, z: Tensor, context: Tensor | None) -> Tensor:
    """:func:`typical` of ``p(x|z)``: ``z (N, *latent_shape), context (N, size) → (N, *data.shape)``."""
    with evaluating(model, 0):
        return typical(model.given(context).decode(z.to(model.device, model.dtype)), model.data)
