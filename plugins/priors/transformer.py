"""Transformer as a prior over codes."""

import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Doc, Prior, UsageError
from genmod.plugins.posteriors._simplex import require_classes, stacked
from genmod.plugins.priors._raster import RasterCodes

__all__ = ["TransformerPrior"]


@final
class TransformerPrior(Prior):
    """Classes drawn one after the other by attention to those before.

    ``p(z) = Π_i Cat(z_i; softmax(f_i(z_<i, context)))``, ``event_shape latent_shape``

    The last number of the latent shape is that of classes. ``f`` is a causal transformer with learned positions; the first
    code is predicted from a learned vector, or in a conditional model from the condition, and ``batch_shape`` is then that
    of the conditions. For posteriors that draw codes (``vq``, ``fsq``, …) or exact classes. It starts with all classes alike.

    Reference:
        Attention Is All You Need (Vaswani et al., 2017), arXiv:1706.03762;
        Taming Transformers for High-Resolution Image Synthesis (Esser et al., 2020), arXiv:2012.09841, for such a prior

    Raises:
        UsageError: there are fewer than two classes, or the heads do not share the width evenly.

    Example:
        >>> TransformerPrior((4, 4, 8), width=16)().sample((5,)).shape
        torch.Size([5, 4, 4, 8])
    """

    wants_context = True

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: int = 0,
        *,
        width: Annotated[int, Gt(0), Doc("numbers for each code")] = 64,
        layers: Annotated[int, Ge(1), Doc("layers of attention")] = 2,
        heads: Annotated[int, Ge(1), Doc("heads of attention")] = 4,
    ) -> None:
        classes = require_classes("prior 'transformer'", latent_shape)
        super().__init__(latent_shape)
        if width % heads:
            raise UsageError(
                f"prior 'transformer' has {heads} heads, which cannot share a width of {width} evenly",
                hint="choose a number that divides it: -s prior.heads=1",
            )
        self.support = stacked(constraints.one_hot, latent_shape)
        self.shape, self.classes, self.context = latent_shape[:-1], classes, context
        count = math.prod(self.shape)
        self.embedding = nn.Embedding(classes, width) if count > 1 else None
        self.positions = nn.Parameter(0.02 * torch.randn(count, width))
        self.condition = nn.Linear(context, width) if context else None
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, classes)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, context: Tensor | None = None) -> RasterCodes:
        device = self.positions.device
        return RasterCodes(self.logits, self.shape, self.classes, context if self.context else None, device)

    def logits(self, codes: Tensor, context: Tensor | None) -> Tensor:
        """Of each place, ``(N, n)`` int64 and ``(N, size)`` → ``(N, n, classes)``."""
        count, width = self.positions.shape
        first = self.positions.new_zeros(codes.shape[0], 1, width)
        if self.condition is not None and context is not None:
            first = self.condition(context)[:, None]
        before = first if self.embedding is None else torch.cat([first, self.embedding(codes[:, :-1])], 1)
        x = before + self.positions
        later = torch.ones(count, count, dtype=torch.bool, device=x.device).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=later)
        return self.out(self.norm(x))  # type: ignore[no-any-return]
