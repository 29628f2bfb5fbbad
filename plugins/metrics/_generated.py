"""What metrics of generated examples have in common: options, and rows of a distance from the data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genmod import Metric, Row, Subject, Undefined
from genmod.evaluation import (
    Compared,
    FeaturesName,
    FromSource,
    SampleCount,
    WithNoise,
    checked_features,
    compared,
)
from genmod.plugins.metrics._frechet import Distance

__all__ = ["OfGenerated", "chance_row", "distance_rows"]


@dataclass(kw_only=True, eq=False)
class OfGenerated(Metric):
    """A metric that compares features of generated examples with those of the data; its fields are its options.

    Raises:
        UsageError: there are no such features.
    """

    main = "features"

    features: FeaturesName = None
    samples: SampleCount = None
    source: FromSource = None
    noise: WithNoise = False

    def __post_init__(self) -> None:
        checked_features(self.features)

    def compared(self, subject: Subject, **options: Any) -> Compared:
        """Both sets of features, by the options; see :func:`genmod.evaluation.compared`."""
        chosen = {"samples": self.samples, "source": self.source, "noise": self.noise}
        return compared(subject, self.features, **(chosen | options))


def distance_rows(
    name: str, sets: Compared, distance: Callable[[Tensor, Tensor], Distance], definition: str
) -> Iterator[Row | Undefined]:
    """A distance of generated examples from the data, and its floor: that of training examples in their place."""
    floor = None if sets.floor is None else distance(sets.real, sets.floor)
    details = sets.details if floor is None else {"floor": floor.value, **sets.details}
    found, n = distance(sets.real, sets.made), len(sets.real)
    label = f"{name}[{sets.label}]"
    yield Row(label, found.value, found.standard_error, n, "", definition, "lower", details)
    label = f"{name}_floor[{sets.label}]"
    if floor is None or sets.floor is None:
        yield Undefined(label, sets.no_floor)
    else:
        definition = "the same distance for training examples in place of generated ones"
        more = {"training": len(sets.floor), **sets.details}
        yield Row(label, floor.value, floor.standard_error, n, "", definition, "", more)


def chance_row(
    name: str, sets: Compared, p: float, n: int, what: str, permutations: int, **details: Any
) -> Row:
    """The p-value of a test by permutations as a row, with its error by the number of permutations."""
    return Row(
        f"{name}[{sets.label}]",
        p,
        (p * (1 - p) / permutations) ** 0.5,
        n,
        "",
        f"chance of such {what} if generated examples were distributed as the data, by permutations",
        "",
        {"permutations": permutations, "error_of": "permutations", **details, **sets.details},
    )
