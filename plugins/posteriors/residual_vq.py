"""Posterior that rounds in several levels, each what those before leave over."""

import math
from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from genmod import Doc, GivenModel
from genmod.plugins.posteriors._codebook import LearnedCodebook, encoded_examples
from genmod.plugins.posteriors._quantised import Gradient, QuantisedPosterior

__all__ = ["ResidualVQPosterior"]


@final
class ResidualVQPosterior(QuantisedPosterior):
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
        super().__init__(feature_shape, latent_shape, gradient=gradient, commitment=commitment, pieces=levels)
        length = self.places.length // levels
        self.books = nn.ModuleList(
            LearnedCodebook(codes, length, decay=decay, revive=revive) for _ in range(levels)
        )
        self.examples_wanted = max(256, math.ceil(8 * codes / self.places.count))
        self._classes = codes
        self._model: tuple[Any, ...] = ()

    @property
    def classes(self) -> int:
        return self._classes

    @property
    def per_place(self) -> tuple[int, ...]:
        return (len(self.books),)

    def encoded(self, features: Tensor) -> Tensor:
        left = super().encoded(features)
        found = []
        for book in self._books():
            found.append(left)
            left = left - book.rounded(left.detach())
        return torch.cat(found, -1)

    def nearest(self, vectors: Tensor) -> Tensor:
        return torch.stack([book.nearest(part) for book, part in self._pairs(vectors)], -1)

    def vectors(self, codes: Tensor) -> Tensor:
        return torch.cat(
            [book.looked_up(k) for book, k in zip(self._books(), codes.unbind(-1), strict=True)], -1
        )

    def saw(self, vectors: Tensor, codes: Tensor) -> None:
        for (book, part), k in zip(self._pairs(vectors), codes.unbind(-1), strict=True):
            book.saw(part, k)

    def _books(self) -> list[Any]:
        return list(self.books)

    def _pairs(self, vectors: Tensor) -> list[tuple[Any, Tensor]]:
        return list(zip(self.books, vectors.chunk(len(self.books), -1), strict=True))

    def bind(self, model: GivenModel) -> None:
        self._model = (model,)

    def prepare(self, examples: Tensor) -> None:
        for level in range(len(self.books)):
            # What is left over for a level is known once those before have their vectors.
            encoded = encoded_examples(self._model[0], self, examples)
            self._pairs(encoded)[level][0].start(self._pairs(encoded)[level][1])

    def after_step(self) -> None:
        for book in self._books():
            book.after_step()
