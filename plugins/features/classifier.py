"""Features of a small classifier, trained on the data at hand."""

from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genmod import DataInfo, Doc, Features, UsageError
from genmod.plugins.features._images import check_images, from_zero_to_one, outputs, rectified
from genmod.system import seeded

__all__ = ["ClassifierFeatures"]

_BATCH = 128
_WIDTH = 32


@final
class ClassifierFeatures(Features):
    """The inputs of the last layer of a small classifier that is trained on the classes of the training split.

    ``x (N, channels, height, width) → (N, 32)``

    Strided convolutions, then two linear layers; trained by Adam from the seed of the evaluation, and scaled such that
    the mean square of the features is 1. Of all features these notice a missing class best. Scores can be compared
    between models of one dataset that were evaluated with one seed.

    Raises:
        UndefinedError: the data are no images with bounded values, or are smaller than 8×8.
        UsageError: they have no classes.

    Example:
        >>> features = ClassifierFeatures(DataInfo((1, 28, 28)), steps=2)
        >>> features.fit(torch.rand(20, 1, 28, 28), torch.arange(20) % 3)
        >>> features(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 32])
    """

    wants_fit = True
    wants_labels = True

    def __init__(
        self, data: DataInfo, *, steps: Annotated[int, Ge(1), Doc("steps of training, 128 images each")] = 600
    ) -> None:
        check_images(data, "features 'classifier' need", channels=(data.shape[0],))
        super().__init__(data)
        self.steps = steps
        self.net = self._network()

    def _network(self) -> nn.Sequential:
        channels, height, width = self.data.shape
        layers: list[nn.Module] = []
        before, after = channels, 16
        while min(height, width) > 4:
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
            height, width, before, after = -(-height // 2), -(-width // 2), after, min(2 * after, 64)
        layers += [
            nn.Flatten(),
            nn.Linear(before * height * width, 64),
            nn.ReLU(),
            nn.Linear(64, _WIDTH),
            nn.ReLU(),
        ]
        return nn.Sequential(*layers)

    def fit(self, x: Tensor, labels: Tensor | None, *, seed: int = 0) -> None:
        if labels is None or len(x) < 2:
            raise UsageError(
                "features 'classifier' are those of a classifier, and the examples have no classes",
                hint="use features pca",
            )
        device = next(self.net.parameters()).device
        classes, targets = labels.unique(return_inverse=True)
        with seeded(seed), torch.enable_grad():
            fresh = nn.Sequential(*self._network(), nn.Linear(_WIDTH, len(classes))).to(device).train()
            optimizer = torch.optim.Adam(fresh.parameters(), lr=2e-3)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
            for _ in range(self.steps):
                some = torch.randint(len(x), (min(_BATCH, len(x)),))
                scores = fresh(self._scaled(x[some].to(device)))
                optimizer.zero_grad()
                cross_entropy(scores, targets[some].to(device), label_smoothing=0.1).backward()
                optimizer.step()
                schedule.step()
        self.net.load_state_dict(fresh[:-1].state_dict())
        self._scale(x)

    @torch.no_grad()
    def _scale(self, x: Tensor) -> None:
        """Features of mean square 1: the kernel of KID adds 1 to products of them."""
        last, device = self.net[-2], next(self.net.parameters()).device
        squares = [self(some.to(device)).square().mean(1) for some in x.split(500)]
        size = float(torch.cat(squares).mean().sqrt()) or 1.0
        for tensor in last.parameters():
            tensor.div_(size)

    def _scaled(self, x: Tensor) -> Tensor:
        return 2 * from_zero_to_one(x, self.data) - 1

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(self._scaled(x))
        return features

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        return outputs(self.net, rectified(self.net), self._scaled(x))
