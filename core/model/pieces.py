"""Chunk sizes: how many examples are processed at a time."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.interfaces.conditioned import given_part
from genmod.system.memory import bytes_paid_for

if TYPE_CHECKING:
    from genmod.interfaces.given import GivenModel, WholeModel
    from genmod.interfaces.model import GenerativeModel

__all__ = ["MOST", "draws_at_once", "examples_at_once", "held", "log_likelihood", "slices"]

MOST = 500
_VALUES = 2**22
_PARAMETERS = 2**27
_HELD = 2**26
_SCORED, _SCORED_ELSEWHERE = 2**19, 2**20


def examples_at_once(model: "GenerativeModel | WholeModel") -> int:
    """The number of examples that share a seed: at most 500, 4 million values, and 134 million likelihood parameters.

    It depends on shapes alone, never on the machine, because the random numbers depend on it. Where memory is short,
    networks are run on fewer examples at a time, which does not change the random numbers.

    Example:
        >>> import genmod
        >>> examples_at_once(genmod.build(encoder="mlp"))
        500
    """
    decoder = getattr(model, "decoder", None)
    parameters = math.prod(decoder.parameter_shape) if decoder is not None else model.data.size
    return max(1, min(MOST, _VALUES // model.data.size, _PARAMETERS // parameters))


def log_likelihood(model: "GivenModel", z: Tensor, x: Tensor) -> Tensor:
    """``log p(x|z)`` of each example with its own latent, at most a million values at a time, so that few likelihoods exist.

    Args:
        model: given the conditions of the examples where it is conditional.
        z: latents, ``(B, *latent_shape)``.
        x: observations, ``(B, *data.shape)``.

    Returns:
        ``(B,)``, nats.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> log_likelihood(model, torch.zeros(3, 2), torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3])
    """
    found = [given_part(model, some).decode(z[some]).log_prob(x[some]) for some in slices(model, x)]
    return found[0] if len(found) == 1 else torch.cat(found)


def slices(model: "GivenModel", x: Tensor) -> list[slice]:
    """Of examples, those of which likelihoods exist at a time: at most a million values, half as many on a processor; or a
    quarter as many as the network has weights, all of which are read for each slice.

    Args:
        model: that decodes them.
        x: one row for each.

    Returns:
        Slices of nearly the same length, at least one.

    Example:
        >>> import genmod
        >>> slices(genmod.build(encoder="mlp"), torch.zeros(10_000, 1))
        [slice(0, 5000, None), slice(5000, 10000, None)]
    """
    n, most = len(x), max(_usual(model, x), _paid_for(model))
    size = max(1, -(-n // max(1, -(-n // most))))
    return [slice(start, min(start + size, n)) for start in range(0, max(1, n), size)]


def draws_at_once(model: "GivenModel", x: Tensor) -> int:
    """How many draws of the latents of each example are decoded together: one, but of few large pictures as many as the
    weights of the network pay for.

    Args:
        model: that decodes them.
        x: one row for each example.

    Example:
        >>> import genmod
        >>> draws_at_once(genmod.build(encoder="mlp"), torch.zeros(500, 1))
        1
    """
    paid = _paid_for(model)
    return 1 if paid <= _usual(model, x) else max(1, paid // max(1, len(x)))


def _usual(model: "GivenModel", x: Tensor) -> int:
    """Examples of which likelihoods exist at a time."""
    return max(1, (_SCORED if x.device.type == "cpu" else _SCORED_ELSEWHERE) // model.data.size)


def _paid_for(model: "GivenModel") -> int:
    """Examples with a quarter as many values as the network has weights, or six million: likelihoods take several tensors."""
    return bytes_paid_for(model.network) // 16 // model.data.size


def held(n: int, data: DataInfo) -> int:
    """How many of ``n`` examples are kept in memory to be compared: at most 67 million values, but at least 16 examples.

    Example:
        >>> held(5000, DataInfo((3, 32, 32))), held(5000, DataInfo((3, 512, 512)))
        (5000, 85)
    """
    return min(n, max(16, _HELD // data.size))
