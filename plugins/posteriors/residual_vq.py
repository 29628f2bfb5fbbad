"""Posterior that rounds in several levels, each what those before leave over."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from genmod import Doc
from genmod.plugins.posteriors._codebook import BooksPosterior
from genmod.plugins.posteriors._quantised import Gradient

__all__ = ["ResidualVQPosterior"]


@final
class ResidualVQPosterior(BooksPosterior):
    """Vectors of several codebooks, each the nearest to what those before leave over (RQ-VAE).

    ``q(z|x) = [z = (e^1, …, e^L)]``, ``e^l`` the nearest to ``r^l = r^{l-1} - e^{l-1}``, ``r^1 = v(x)``, in each place

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``, laid out as by posterior ``vq``. The
    vectors of all levels lie side by side, so that codes can be read off the latents; their sum, which the paper decodes, is
    one linear map of them, and every network begins with one. The encoder is held to its codes by
    ``commitment · Σ_l ‖r^l - e^l‖²``, as in the paper.

    Reference:
        Autoregressive Image Generation using Residual Quantization (Lee et al., 2022), arXiv:2203.01941

    Example:
        >>> q = ResidualVQPosterior((256,), (4, 8), levels=3)(torch.zeros(2, 256))
        >>> q.codes.shape, q.mean.shape
        (torch.Size([2, 4, 3]), torch.Size([2, 4, 24]))
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        codes: Annotated[int, Ge(2), Doc("vectors in each codebook")] = 64,
        levels: Annotated[int, Ge(1), Doc("codebooks, each for what those before leave over")] = 4,
        decay: Annotated[float, Gt(0), Lt(1), Doc("of the running means that move the codebooks")] = 0.99,
        commitment: Annotated[float, Ge(0), Doc("weight of what holds the encoder to its codes")] = 0.25,
        revive: Annotated[
            float, Ge(0), Lt(1), Doc("share of even use, below which a code is put elsewhere; 0 for never")
        ] = 0.05,
        gradient: Annotated[Gradient, Doc("how gradients pass the rounding")] = "straight-through",
    ) -> None:
        super().__init__(
            feature_shape,
            latent_shape,
            books=levels,
            codes=codes,
            book={"decay": decay, "revive": revive},
            gradient=gradient,
            commitment=commitment,
            pieces=levels,
        )

    def encoded(self, features: Tensor) -> Tensor:
        left = super().encoded(features)
        found = []
        for book in self.books:
            found.append(left)
            left = left - book.rounded(left.detach())  # type: ignore[operator]
        return torch.cat(found, -1)
