"""Posterior that rounds each number to a few levels."""

import math
from collections.abc import Sequence
from typing import Annotated, final

import torch
from annotated_types import Ge, MinLen
from torch import Tensor

from genmod import Doc, UsageError
from genmod.plugins.posteriors._quantised import QuantisedPosterior

__all__ = ["FSQPosterior"]

_MOST = 2**24


@final
class FSQPosterior(QuantisedPosterior):
    """Numbers that are bounded and rounded to a few levels each: a codebook of all combinations, without learning one.

    ``z_i = round(f_i(v_i(x)))``, ``f`` bounding to as many whole numbers as there are levels, scaled to ``[-1, 1]``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``, laid out as by posterior ``vq``; the
    codes of a place number all combinations of its levels, ``Π levels`` of them. Gradients pass the rounding as if it were
    not there.

    Reference:
        Finite Scalar Quantization: VQ-VAE Made Simple (Mentzer et al., 2023), arXiv:2309.15505

    Raises:
        UsageError: there is not one number of levels for each number of a vector, or too many combinations.

    Example:
        >>> posterior = FSQPosterior((256,), (4, 3), levels=(5, 4, 3))
        >>> posterior(torch.zeros(2, 256)).codes.shape, posterior.classes
        (torch.Size([2, 4]), 60)
    """

    counts: Tensor
    strides: Tensor

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        levels: Annotated[
            Annotated[Sequence[Annotated[int, Ge(2)]], MinLen(1)] | None,
            Doc("levels of each number of a vector; by default 5 of each"),
        ] = None,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        length = self.places.length
        self.levels = tuple(levels) if levels is not None else (5,) * length
        if len(self.levels) != length or math.prod(self.levels) > _MOST:
            raise UsageError(
                f"posterior 'fsq' was given {len(self.levels)} numbers of levels for vectors of length {length}, which make "
                f"{math.prod(self.levels):,} codes; it takes one for each, and at most {_MOST:,} codes",
                hint="for example: --latent 16x4 -s posterior.levels=8,5,5,5",
            )
        counts = torch.tensor(self.levels)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("strides", counts.cumprod(0) // counts, persistent=False)

    @property
    def classes(self) -> int:
        return math.prod(self.levels)

    def encoded(self, features: Tensor) -> Tensor:
        vectors = super().encoded(features)
        counts = self.counts.to(vectors)
        # Even numbers of levels lie at halves: they are shifted so that 0 is not between two of them.
        half, shift = (counts - 1) * (1 + 1e-3) / 2, torch.where(self.counts % 2 == 0, 0.5, 0.0).to(vectors)
        return ((vectors + (shift / half).atanh()).tanh() * half - shift) * 2 / (counts - 1).clamp(min=1)

    def _digits(self, vectors: Tensor) -> Tensor:
        counts = self.counts.to(vectors)
        lowest = counts // 2
        whole = (vectors * (counts - 1).clamp(min=1) / 2).round() + lowest
        return whole.clamp(min=torch.zeros_like(counts), max=counts - 1)

    def nearest(self, vectors: Tensor) -> Tensor:
        return (self._digits(vectors).long() * self.strides).sum(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        digits = codes[:, None] // self.strides % self.counts
        counts = self.counts.to(torch.get_default_dtype())
        return (digits - self.counts // 2).to(counts) * 2 / (counts - 1).clamp(min=1)
