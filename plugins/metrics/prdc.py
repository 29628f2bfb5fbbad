"""Precision, recall, density and coverage of generated examples."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.evaluation import FeaturesName, FromSource, SampleCount, WithNoise, checked_features, compared
from genmod.plugins.metrics._prdc import overlap

__all__ = ["Prdc"]

_DEFINITIONS = {
    "precision": "share of generated examples within reach of one of the data: its k-th neighbour",
    "recall": "share of the data within reach of a generated example",
    "density": "how many examples of the data have a generated one within reach, by k; over 1 where they crowd",
    "coverage": "share of the data that have a generated example within reach",
}


@final
class Prdc(Metric):
    """Precision, recall, density and coverage: whether generated examples are like the data, and all of these like them.

    Each example reaches as far as its k-th neighbour in its own set. ``floor`` in the details is the score of training
    examples in the place of the generated ones, which a perfect model has. Recall and coverage have a number for each
    example of the data, so that two models can be compared on the same ones; the errors do not count that the other
    set is a sample too.

    Raises:
        UsageError: there are no such features.

    Reference:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019),
        arXiv:1904.06991; Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
        arXiv:2002.09797

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(20, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "prdc[pixel]").rows]
        ['precision[pixel]', 'recall[pixel]', 'density[pixel]', 'coverage[pixel]']
    """

    main = "features"

    def __init__(
        self,
        *,
        features: FeaturesName = None,
        k: Annotated[int, Ge(1), Doc("which neighbour an example reaches to")] = 5,
        samples: SampleCount = None,
        source: FromSource = None,
        noise: WithNoise = False,
    ) -> None:
        self.features = checked_features(features)
        self.k = k
        self.samples = samples
        self.source = source
        self.noise = noise

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = compared(subject, self.features, samples=self.samples, source=self.source, noise=self.noise)
        least = min(len(sets.real), len(sets.made))
        if least <= self.k:
            raise UndefinedError(f"the {self.k}-th neighbour among {least} examples; give more of them")
        found = vars(overlap(sets.real, sets.made, self.k))
        floors: dict[str, Tensor] = {}
        if sets.floor is not None and len(sets.floor) > self.k:
            floors = vars(overlap(sets.real, sets.floor, self.k))
        # The first examples alone are no numbers of all of the split.
        whole = len(sets.real) == len(subject.split)
        for score, definition in _DEFINITIONS.items():
            details = {"k": self.k, **sets.details}
            if score in floors:
                details = {"floor": floors[score].mean().item(), **details}
            row = mean_row(f"{score}[{sets.label}]", found[score], "", definition, "higher", details)
            if score in ("precision", "density") or not whole:
                row = Row(row.name, row.value, row.standard_error, row.n, "", definition, "higher", details)
            yield row
