"""Bits per dimension: code lengths that compare across likelihoods."""

import math
from typing import Any

from torch import Tensor

from genmod.model import LatentVariableModel

__all__ = ["bits_per_dim", "no_bits", "spread"]


def bits_per_dim(log_prob: Tensor | float, dims: int, step: float) -> Any:
    """Bits per dimension of discrete data with spacing ``step``, given a density of dequantised data.

    ``-log p / (D ln 2) - log2(step)``: the probability of a cell is about its density times its width. Give
    ``step = 1`` for a probability of the discrete data themselves.

    Args:
        log_prob: nats, any shape.
        dims: ``D``, the number of values in an example.
        step: distance of two neighbouring values in the units of the density.

    Example:
        >>> bits_per_dim(0.0, 10, 1 / 256)
        8.0
    """
    return -log_prob / (dims * math.log(2)) - math.log2(step)


def no_bits(model: LatentVariableModel) -> str:
    """Why a model has no bits per dimension, or nothing where it has."""
    if model.missing_densities():
        return model.missing_densities()
    if model.decoder.cell is None:
        return (
            "the data are continuous to its decoder, so their code length depends on the unit of measurement"
        )
    if model.data.missing:
        return "values are missing, so that examples have different numbers of them"
    return ""


def spread(model: LatentVariableModel, stored: Tensor, x: Tensor) -> Tensor:
    """Observations whose density bounds the probability of the data: levels spread evenly over their cells.

    A density of the bare levels is no bound on anything; see :meth:`Decoder.dequantized`. Of a probability, and where
    the decoder spreads them by itself, these are the observations as they are.

    Args:
        model: one with bits per dimension.
        stored: examples, ``(B, *data.shape)``.
        x: the same as observations, ``(B, *data.shape)``.
    """
    if model.decoder.support.is_discrete or model.decoder.dequantize:
        return x
    return model.decoder.dequantized(model.data.values(stored.to(model.device), model.dtype))
