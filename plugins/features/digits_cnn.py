"""Features of a small classifier of handwritten digits of 8×8 pixels."""

from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from genmod import DataInfo, Features, UndefinedError
from genmod.plugins.features._images import (
    check_images,
    from_zero_to_one,
    outputs,
    rectified,
    stored_weights,
)

__all__ = ["DigitsCnnFeatures", "digits_network"]


def digits_network() -> nn.Sequential:
    """The classifier, 40,042 weights: ``(N, 1, 8, 8) → (N, 10)``, whose last layer takes 32 features.

    Example:
        >>> sum(weight.numel() for weight in digits_network().parameters())
        40042
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


@final
class DigitsCnnFeatures(Features):
    """The inputs of the last layer of a small classifier that was trained on the training split of dataset ``digits``.

    ``x (N, 1, 8, 8) → (N, 32)``

    Their mean square is 1 on that split. The weights are stored; ``benchmarks/feature_weights.py`` trains them again.
    Of all features these notice a missing digit best.

    Raises:
        UndefinedError: the data are no images of 1×8×8 with bounded values.

    Example:
        >>> import torch
        >>> DigitsCnnFeatures(DataInfo((1, 8, 8)))(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 32])
    """

    version = "v1"

    def __init__(self, data: DataInfo) -> None:
        check_images(data, "features 'digits-cnn' need", channels=(1,))
        if data.shape != (1, 8, 8):
            raise UndefinedError(
                f"features 'digits-cnn' need images of 1×8×8; these are of {'×'.join(map(str, data.shape))}",
                hint="features classifier take images of any size with classes",
            )
        super().__init__(data)
        self.net = digits_network()
        stored_weights(self.net, "digits_cnn")

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net[:-1](from_zero_to_one(x, self.data))
        return features

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        return outputs(self.net, rectified(self.net), from_zero_to_one(x, self.data))
