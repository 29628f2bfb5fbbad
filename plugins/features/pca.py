"""Principal components of the training data as features."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor

from genmod import DataInfo, Doc, Features, UsageError

__all__ = ["PcaFeatures"]


@final
class PcaFeatures(Features):
    """The first principal components of the training examples, in the units of the data.

    ``x (N, *data.shape) → (x - mean) Vᵀ (N, D)``, ``V`` the orthonormal directions in which training examples vary most

    Of tables and of images of any kind; as many as there are values where these are fewer.

    Raises:
        UsageError: there are fewer than two training examples.

    Example:
        >>> features = PcaFeatures(DataInfo((12,)), components=3)
        >>> features.fit(torch.rand(50, 12), None)
        >>> features(torch.rand(5, 12)).shape
        torch.Size([5, 3])
    """

    wants_fit = True
    mean: Tensor
    directions: Tensor

    def __init__(
        self, data: DataInfo, *, components: Annotated[int, Ge(1), Doc("how many components, at most")] = 32
    ) -> None:
        super().__init__(data)
        count = min(components, data.size)
        self.version = str(count)
        self.register_buffer("mean", torch.zeros(data.size))
        self.register_buffer("directions", torch.eye(count, data.size))

    def fit(self, x: Tensor, labels: Tensor | None, *, seed: int = 0) -> None:
        if len(x) < 2:
            raise UsageError(
                f"principal components of {len(x)} examples",
                hint="give more training data, or use features pixel",
            )
        flat = x.flatten(1).double()
        mean = flat.mean(0)
        centred = flat - mean
        # Eigenvectors have a sign that differs from machine to machine: the largest entry is made positive.
        _, axes = torch.linalg.eigh(centred.T @ centred)
        directions = axes.flip(1).T[: len(self.directions)]
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        self.mean.copy_(mean)
        self.directions.copy_(directions * largest.sign())

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.mean) @ self.directions.T
