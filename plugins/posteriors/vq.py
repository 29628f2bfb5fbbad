"""Posterior that rounds to a learned codebook."""

from collections.abc import Mapping
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from genmod import Doc, Draw, Loss, UsageError
from genmod.distributions import Coded
from genmod.plugins.posteriors._codebook import BooksPosterior
from genmod.plugins.posteriors._quantised import Gradient

__all__ = ["VQPosterior"]


@final
class VQPosterior(BooksPosterior):
    """The vector of a codebook that is nearest to one which is linear in the features (VQ-VAE).

    ``q(z|x) = [z = e_k]``, ``k = argmin_k ‖v(x) - e_k‖``, in each place of the latents

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Latents 8×16 are eight vectors of length
    16; on maps of features (``--encoder conv-map``), latents of 16 are one such vector for each pixel of the map. The
    codebook follows what is encoded by running means, or by gradients of ``‖v - e‖²``; it starts with k-means of training
    examples. The encoder is held to its codes by ``commitment · ‖v - e‖²``. The prior is one over classes, ``categorical``
    or ``autoregressive`` say; with it the bound is one on ``log P(x)``.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937;
        Vector-quantized Image Modeling with Improved VQGAN (Yu et al., 2021), arXiv:2110.04627, for directions

    Raises:
        UsageError: the heads do not share a vector evenly, or directions in one dimension.

    Example:
        >>> q = VQPosterior((256,), (4, 8))(torch.zeros(2, 256))
        >>> q.codes.shape, q.mean.shape
        (torch.Size([2, 4]), torch.Size([2, 4, 8]))
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        codes: Annotated[int, Ge(2), Doc("vectors in the codebook")] = 64,
        heads: Annotated[int, Ge(1), Doc("pieces of each vector that have a codebook each")] = 1,
        codebook: Annotated[
            Literal["ema", "gradient"], Doc("what moves the codebook: running means, or gradients")
        ] = "ema",
        decay: Annotated[float, Gt(0), Lt(1), Doc("of the running means")] = 0.99,
        commitment: Annotated[float, Ge(0), Doc("weight of what holds the encoder to its codes")] = 0.25,
        cosine: Annotated[bool, Doc("compare directions, with vectors of length one")] = False,
        revive: Annotated[
            float, Ge(0), Lt(1), Doc("share of even use, below which a code is put elsewhere; 0 for never")
        ] = 0.05,
        gradient: Annotated[Gradient, Doc("how gradients pass the rounding")] = "straight-through",
    ) -> None:
        kept = decay if codebook == "ema" else None
        super().__init__(
            feature_shape,
            latent_shape,
            books=heads,
            codes=codes,
            book={"decay": kept, "cosine": cosine, "revive": revive},
            gradient=gradient,
            commitment=commitment,
        )
        length = self.places.length
        if length % heads:
            raise UsageError(
                f"posterior 'vq' has {heads} heads, which cannot share vectors of length {length} evenly",
                hint="choose a number that divides it: -s posterior.heads=1",
            )
        if cosine and length == heads:
            raise UsageError(
                "posterior 'vq' compares directions, and there are two of them in one dimension",
                hint="choose longer vectors, --latent 4x8, or leave out -s posterior.cosine=true",
            )
        self.cosine, self.kind = cosine, codebook

    @property
    def per_place(self) -> tuple[int, ...]:
        return super().per_place if len(self.books) > 1 else ()

    def encoded(self, features: Tensor) -> Tensor:
        encoded = super().encoded(features)
        if self.cosine:
            return torch.nn.functional.normalize(
                encoded.unflatten(-1, (len(self.books), -1)), dim=-1
            ).flatten(-2)
        return encoded

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        found = dict(super().losses(draw))
        if self.kind == "gradient" and isinstance(draw.q, Coded):
            difference = self.embed(draw.q.codes) - draw.q.encoded.detach()
            found["codebook"] = Loss(difference.flatten(1).square().sum(1))
        return found
