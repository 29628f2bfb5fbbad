"""Where the vectors of a latent lie: in a row, or each at its place of a map of features."""

import math

from torch import Tensor, nn

__all__ = ["Places"]


class Places(nn.Module):
    """From features to vectors, one for each place of the latents.

    Maps of features ``(C, H, W)`` and latents of one number D, or of ``(D, H, W)``, keep their places: a vector of length D
    for each of ``H × W``. All other features are flattened, and latents ``(*places, D)`` are D numbers for each place.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: the latent shape that was asked for.
        outputs: numbers for each place, the length of a vector of the latents by default.
        pieces: vectors of that length that lie side by side in each place of the latents.

    Example:
        >>> import torch
        >>> places = Places((4, 3, 2), (5,))
        >>> places.latent_shape, places.shape, places(torch.zeros(7, 4, 3, 2)).shape
        ((5, 3, 2), (3, 2), torch.Size([7, 6, 5]))
        >>> places = Places((12,), (3, 5))
        >>> places.latent_shape, places.shape, places(torch.zeros(7, 12)).shape
        ((3, 5), (3,), torch.Size([7, 3, 5]))
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        outputs: int | None = None,
        pieces: int = 1,
    ) -> None:
        super().__init__()
        on_map = len(feature_shape) == 3 and (len(latent_shape) == 1 or latent_shape[1:] == feature_shape[1:])
        self.on_map = on_map
        length = latent_shape[0] if on_map else latent_shape[-1]
        self.length = length * pieces
        self.shape = feature_shape[1:] if on_map else latent_shape[:-1]
        self.latent_shape = (self.length, *self.shape) if on_map else (*self.shape, self.length)
        self.outputs = outputs or length
        self.count = math.prod(self.shape)
        self.head: nn.Module
        if on_map:
            self.head = nn.Conv2d(feature_shape[0], self.outputs, 1)
        else:
            self.head = nn.Linear(math.prod(feature_shape), self.count * self.outputs)

    def forward(self, features: Tensor) -> Tensor:
        """``features (B, *feature_shape) → (B, places, outputs)``."""
        if self.on_map:
            return self.head(features).flatten(2).mT  # type: ignore[no-any-return]
        return self.head(features.flatten(1)).unflatten(1, (self.count, self.outputs))  # type: ignore[no-any-return]

    def joined(self, vectors: Tensor) -> Tensor:
        """Vectors ``(*batch, places, D)`` as latents ``(*batch, *latent_shape)``."""
        if self.on_map:
            return vectors.mT.unflatten(-1, self.shape)
        return vectors.unflatten(-2, self.shape) if self.shape else vectors.squeeze(-2)

    def split(self, z: Tensor) -> Tensor:
        """Latents ``(*batch, *latent_shape)`` as vectors ``(*batch, places, D)``."""
        if self.on_map:
            return z.flatten(-2).mT
        return z.flatten(-len(self.latent_shape), -2) if self.shape else z.unsqueeze(-2)
