"""Codes that are predicted one after the other, in the order in which they lie in memory."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from genmod.distributions import IntegerCodes

__all__ = ["RasterCodes"]


class RasterCodes(IntegerCodes):
    """``P(k) = Π_i softmax(f_i(k_1, …, k_{i-1}; context))[k_i]``

    Args:
        logits: ``f``, of codes ``(N, n)`` int64 and context ``(N, size)`` or None → ``(N, n, classes)``; the logits of
            a place do not depend on its own code nor on later ones.
        shape: of the codes of one latent, n in all.
        classes: how many values each has.
        context: ``(*batch_shape, size)``, or None.

    Example:
        >>> p = RasterCodes(lambda codes, context: torch.zeros(*codes.shape, 4), (3,), 4)
        >>> p.log_prob_of(torch.tensor([0, 3, 1])).exp() == 1 / 64
        tensor(True)
    """

    def __init__(
        self,
        logits: Callable[[Tensor, Tensor | None], Tensor],
        shape: tuple[int, ...],
        classes: int,
        context: Tensor | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._logits, self._context = logits, context
        self._device = device if context is None else context.device
        super().__init__(shape, classes, () if context is None else context.shape[:-1])

    def expand(self, batch_shape: Any, _instance: object = None) -> "RasterCodes":
        context = self._context
        if context is not None:
            context = context.expand(*batch_shape, -1)
        other = RasterCodes(self._logits, self.shape, self.classes, context, self._device)
        other._batch_shape = torch.Size(batch_shape)
        return other

    def log_prob_of(self, codes: Tensor) -> Tensor:
        batch = torch.broadcast_shapes(codes.shape[: codes.dim() - len(self.shape)], self._batch_shape)
        flat = codes.reshape(*codes.shape[: codes.dim() - len(self.shape)], -1)
        flat = flat.expand(*batch, -1).reshape(-1, flat.shape[-1])
        logs = self._logits(flat, self._rows(batch)).log_softmax(-1)
        return logs.gather(-1, flat[..., None]).squeeze(-1).sum(-1).reshape(batch)

    @torch.no_grad()
    def sample_codes(self, sample_shape: Any = ()) -> Tensor:
        batch = torch.Size((*sample_shape, *self._batch_shape))
        codes = torch.zeros(math.prod(batch), math.prod(self.shape), dtype=torch.int64, device=self._device)
        rows = self._rows(batch)
        for i in range(codes.shape[1]):
            logits = self._logits(codes, rows)[:, i]
            codes[:, i] = Categorical(logits=logits, validate_args=False).sample()
        return codes.reshape((*batch, *self.shape))

    def _rows(self, batch: torch.Size) -> Tensor | None:
        if self._context is None:
            return None
        return self._context.expand(*batch, -1).reshape(-1, self._context.shape[-1])
