"""Posterior that rounds to a learned codebook."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from genmod import Doc, Draw, GivenModel, Loss, UsageError
from genmod.distributions import Coded
from genmod.plugins.posteriors._codebook import LearnedCodebook, encoded_examples
from genmod.plugins.posteriors._quantised import Gradient, QuantisedPosterior

__all__ = ["VQPosterior"]


@final
class VQPosterior(QuantisedPosterior):
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
        super().__init__(feature_shape, latent_shape, gradient=gradient, commitment=commitment)
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
        self.heads, self.cosine, self.kind = heads, cosine, codebook
        kept = decay if codebook == "ema" else None
        self.books = nn.ModuleList(
            LearnedCodebook(codes, length // heads, decay=kept, cosine=cosine, revive=revive)
            for _ in range(heads)
        )
        self.examples_wanted = max(256, math.ceil(8 * codes / self.places.count))
        self._classes = codes
        self._model: tuple[Any, ...] = ()

    @property
    def classes(self) -> int:
        return self._classes

    @property
    def per_place(self) -> tuple[int, ...]:
        return (self.heads,) if self.heads > 1 else ()

    def encoded(self, features: Tensor) -> Tensor:
        encoded = super().encoded(features)
        if self.cosine:
            return torch.nn.functional.normalize(encoded.unflatten(-1, (self.heads, -1)), dim=-1).flatten(-2)
        return encoded

    def nearest(self, vectors: Tensor) -> Tensor:
        found = [book.nearest(part) for book, part in self._pairs(vectors)]
        return torch.stack(found, -1) if self.heads > 1 else found[0]

    def vectors(self, codes: Tensor) -> Tensor:
        columns = codes.unbind(-1) if self.heads > 1 else (codes,)
        return torch.cat([book.looked_up(k) for book, k in zip(self.books, columns, strict=True)], -1)  # type: ignore[operator]

    def saw(self, vectors: Tensor, codes: Tensor) -> None:
        columns = codes.unbind(-1) if self.heads > 1 else (codes,)
        for (book, part), k in zip(self._pairs(vectors), columns, strict=True):
            book.saw(part, k)

    def _pairs(self, vectors: Tensor) -> list[tuple[Any, Tensor]]:
        return list(zip(self.books, vectors.chunk(self.heads, -1), strict=True))

    def bind(self, model: GivenModel) -> None:
        self._model = (model,)

    def prepare(self, examples: Tensor) -> None:
        for book, part in self._pairs(encoded_examples(self._model[0], self, examples)):
            book.start(part)

    def after_step(self) -> None:
        for book in self.books:
            book.after_step()  # type: ignore[operator]

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        found = dict(super().losses(draw))
        if self.kind == "gradient" and isinstance(draw.q, Coded):
            difference = self.embed(draw.q.codes) - draw.q.encoded.detach()
            found["codebook"] = Loss(difference.flatten(1).square().sum(1))
        return found
