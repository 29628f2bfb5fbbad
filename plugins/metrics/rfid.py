"""The Fréchet distance between reconstructions and the data."""

from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError
from genmod.evaluation import FeaturesName, checked_features, featured
from genmod.plugins.metrics._frechet import frechet_distance

__all__ = ["Rfid"]

_DEFINITION = "|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½) of features of reconstructions and of the data"


@final
class Rfid(Metric):
    """The Fréchet distance between features of reconstructions and of the data, rFID; zero where they are exact.

    ``|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½)``

    Features are those of the metric ``fid``, and so are the examples of the data: as they are stored, whatever the model made
    binary of them. A reconstruction is the mean of ``p(x|z)`` at the code. The name of the score has the features in it:
    scores by different ones, or of different numbers of examples, cannot be compared. The standard error is that of the
    delta method, in which each example moves both sides together.

    Raises:
        UsageError: there are no such features.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(300, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "rfid").rows]
        ['rfid[digits-cnn-v1]']
    """

    main = "features"

    def __init__(
        self,
        *,
        features: FeaturesName = None,
        samples: Annotated[
            int | None, Ge(2), Doc("examples, the first of the split; all of them unless given")
        ] = None,
    ) -> None:
        self.features, self.samples = checked_features(features), samples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        n = min(self.samples or len(subject.split), len(subject.split))
        if n < 2:
            raise UndefinedError(f"covariances need two examples or more, and there are {n}")
        by = featured(subject, self.features)
        real = by.of_split(n)
        made = torch.cat(subject.over_reconstructions(lambda _, y: by.of(y.float()), n))
        name = f"rfid[{by.name}]"
        if n < 5 * real.shape[1]:
            subject.warn(
                f"{name}: covariances of {real.shape[1]} features from {n} examples are poor; take more "
                "examples, or features of fewer dimensions"
            )
        device = subject.model.device
        found = frechet_distance(real.to(device), made.to(device), paired=True)
        details = {"features": by.name, "dimensions": real.shape[1], "sha256": by.sha256}
        yield Row(name, found.value, found.standard_error, n, "", _DEFINITION, "lower", details)
