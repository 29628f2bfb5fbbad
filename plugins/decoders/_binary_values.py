"""Many independent binary values as one event, with a density that is fast where no gradients are wanted."""

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent
from torch.nn import functional

__all__ = ["BinaryValues"]


@final
class BinaryValues(Independent):
    """Zeros and ones by their logits.

    ``log p(x) = Σ_i log σ(s_i)``, ``s_i = (2 x_i - 1) l_i``

    Without gradients, as in evaluation, ``Σ_i log σ(s_i) = Σ_i min(s_i, 0) + Σ_g log Π_{i in g} σ(|s_i|)``: one
    logarithm for each group of factors that a product can hold. Nothing cancels, and it takes half the time.

    Args:
        logits: ``(*batch, *event_shape)``.
        event_dims: how many of the last dimensions are one event, one or more.

    Example:
        >>> BinaryValues(torch.zeros(3, 2, 2), 2).log_prob(torch.ones(2, 2))
        tensor([-2.7726, -2.7726, -2.7726])
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        super().__init__(Bernoulli(logits=logits, validate_args=False), event_dims, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "BinaryValues":
        logits: Tensor = self.base_dist.logits
        return BinaryValues(logits.expand(*batch_shape, *self.event_shape), self.reinterpreted_batch_ndims)

    def log_prob(self, value: Tensor) -> Tensor:
        """``value (*batch, *event_shape)`` of zeros and ones → ``(*batch)``, nats."""
        logits: Tensor = self.base_dist.logits
        dims = self.reinterpreted_batch_ndims
        if torch.is_grad_enabled() and (logits.requires_grad or value.requires_grad):
            if value.shape != logits.shape:
                logits, value = torch.broadcast_tensors(logits, value)
            wrong = functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
            return -wrong.flatten(-dims).sum(-1)
        s = (logits * (2 * value - 1)).flatten(-dims)
        wrong = s.clamp(max=0).sum(-1)
        right = s.abs_().sigmoid_().unflatten(-1, (-1, _group(s.shape[-1], s.dtype))).prod(-1)
        return wrong + right.log_().sum(-1)


def _group(n: int, dtype: torch.dtype) -> int:
    """The largest divisor of ``n`` such that a product of so many numbers from ½ to 1 does not underflow."""
    most = -round(math.log2(torch.finfo(dtype).tiny)) - 1
    return next(size for size in range(min(n, most), 0, -1) if n % size == 0)
