"""The kernel distance between generated examples and the data."""

from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined
from genmod.evaluation import FeaturesName, FromSource, SampleCount, WithNoise, checked_features, compared
from genmod.plugins.metrics._kernel import mmd

__all__ = ["Kid"]


@final
class Kid(Metric):
    """The squared maximum mean discrepancy of features by a cubic kernel; KID where the features are Inception's.

    ``mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)``, ``k(x, y) = (x·y / D + 1)³``

    Without bias, however few examples there are: between sets of one distribution it is 0 on average, and may be
    negative. It is taken from all pairs, not from subsets as it was published. ``kid_floor`` is the score of training
    examples in the place of the generated ones.

    Raises:
        UsageError: there are no such features.

    Reference:
        Demystifying MMD GANs (Bińkowski et al., 2018), arXiv:1801.01401

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(20, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "kid[pixel]").rows]
        ['kid[pixel]']
    """

    main = "features"

    def __init__(
        self,
        *,
        features: FeaturesName = None,
        samples: SampleCount = None,
        source: FromSource = None,
        noise: WithNoise = False,
    ) -> None:
        self.features = checked_features(features)
        self.samples = samples
        self.source = source
        self.noise = noise

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = compared(subject, self.features, samples=self.samples, source=self.source, noise=self.noise)
        floor = None if sets.floor is None else mmd(sets.real, sets.floor)
        details = sets.details if floor is None else {"floor": floor.value, **sets.details}
        found, n = mmd(sets.real, sets.made), len(sets.real)
        definition = "squared MMD of features of generated examples and of the data, kernel (x·y / D + 1)³"
        yield Row(
            f"kid[{sets.label}]", found.value, found.standard_error, n, "", definition, "lower", details
        )
        name = f"kid_floor[{sets.label}]"
        if floor is None or sets.floor is None:
            yield Undefined(name, sets.no_floor)
        else:
            definition = "the same of training examples in the place of generated ones"
            more = {"training": len(sets.floor), **sets.details}
            yield Row(name, floor.value, floor.standard_error, n, "", definition, "", more)
