"""What posteriors that draw from a codebook have in common: places, gradients past the rounding, commitment."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function

from genmod import Draw, Loss, Posterior
from genmod.distributions import Codebook, Coded, InCodebook
from genmod.plugins.posteriors._places import Places

__all__ = ["Gradient", "QuantisedPosterior", "handed_on"]

Gradient = Literal["straight-through", "rotation"]


class _StraightThrough(Function):
    @staticmethod
    def forward(ctx: Any, encoded: Tensor, point: Tensor) -> Tensor:
        return point.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, encoded: Tensor, point: Tensor) -> Tensor:
        ctx.save_for_backward(encoded, point)
        return point.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        encoded, point = ctx.saved_tensors
        tiny = torch.finfo(encoded.dtype).tiny ** 0.5
        long_e, long_q = (each.norm(dim=-1, keepdim=True).clamp(min=tiny) for each in (encoded, point))
        e, q = encoded / long_e, point / long_q
        r = torch.nn.functional.normalize(e + q, dim=-1)
        # The transposed rotation, R = I - 2 r rᵀ + 2 q eᵀ, which turns e into q.
        turned = gradient - 2 * r * (r * gradient).sum(-1, keepdim=True)
        turned = turned + 2 * e * (q * gradient).sum(-1, keepdim=True)
        return turned * (long_q / long_e), None


def handed_on(encoded: Tensor, point: Tensor, gradient: Gradient) -> Tensor:
    """``point``, exactly, whose gradient reaches ``encoded`` in its place; both ``(…, D)``.

    ``straight-through``: as it is. ``rotation``: turned and scaled as the plane of the two is from ``encoded`` to ``point``,
    so that the angle between gradient and vector is kept.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937;
        Restructuring Vector Quantization with the Rotation Trick (Fifty et al., 2024), arXiv:2410.06424

    Example:
        >>> encoded = torch.tensor([1.0, 0.0], requires_grad=True)
        >>> handed_on(encoded, torch.tensor([0.0, 2.0]), "rotation")[1].backward()
        >>> encoded.grad.round()
        tensor([2., 0.])
    """
    kind = _StraightThrough if gradient == "straight-through" else _Rotation
    made: Tensor = kind.apply(encoded, point.detach())  # type: ignore[no-untyped-call]
    return made


class QuantisedPosterior(Posterior, Codebook):
    """One latent of a codebook for each example, linear in the features before it is rounded.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: the latent shape that was asked for; its last number, or its first on maps, is the length of the
            vectors.
        gradient: how it reaches the encoder.
        commitment: weight of the loss that keeps the encoder at its codes.
        pieces: vectors of that length that lie side by side in each place.
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        gradient: Gradient = "straight-through",
        commitment: float = 0.0,
        pieces: int = 1,
    ) -> None:
        places = Places(feature_shape, latent_shape, pieces=pieces)
        super().__init__(feature_shape, places.latent_shape)
        self.places = places
        self.gradient: Gradient = gradient
        self.commitment = commitment
        self.support = InCodebook(self, len(self.latent_shape))

    @abstractmethod
    def nearest(self, vectors: Tensor) -> Tensor:
        """Codes of vectors, ``(N, D) → (N, *per place)`` int64."""

    @abstractmethod
    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of codes, ``(N, *per place) → (N, D)``."""

    @property
    def per_place(self) -> tuple[int, ...]:
        """Shape of the codes of one vector."""
        return ()

    @property
    def codebooks(self) -> int:
        return math.prod(self.per_place)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.places.shape, *self.per_place)

    def codes(self, z: Tensor) -> Tensor:
        found = self.nearest(self.places.split(z).flatten(0, -2))
        return found.reshape((*z.shape[: z.dim() - len(self.latent_shape)], *self.shape))

    def embed(self, codes: Tensor) -> Tensor:
        batch = codes.shape[: codes.dim() - len(self.shape)]
        own = next(self.places.parameters())
        vectors = self.vectors(codes.to(own.device).reshape((-1, *self.per_place))).to(own.dtype)
        return self.places.joined(vectors.reshape((*batch, self.places.count, self.places.length)))

    def encoded(self, features: Tensor) -> Tensor:
        """What is rounded, ``(B, places, D)``."""
        return self.places(features)  # type: ignore[no-any-return]

    def forward(self, features: Tensor) -> Coded:
        encoded = self.encoded(features)
        flat = encoded.flatten(0, 1)
        codes = self.nearest(flat.detach())
        found = self.vectors(codes).to(flat)
        if self.training and torch.is_grad_enabled():
            self.saw(flat.detach(), codes)
        point = handed_on(flat, found, self.gradient).view_as(encoded)
        every = codes.reshape((features.shape[0], *self.shape))
        return Coded(self.places.joined(encoded), every, self.places.joined(point), self)

    def saw(self, vectors: Tensor, codes: Tensor) -> None:
        """Called in training with what is encoded, ``(N, D)``, and its codes, for codebooks that follow it."""
        return

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        if not self.commitment or not isinstance(draw.q, Coded):
            return {}
        difference = draw.q.encoded - draw.q.point.detach()
        return {"commitment": Loss(difference.flatten(1).square().sum(1), weight=self.commitment)}
