"""Precision, recall, density and coverage of generated examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor

from genmod import Doc, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.evaluation import distances_by_rows
from genmod.plugins.metrics._generated import OfGenerated

__all__ = ["Overlap", "Prdc", "overlap"]

_DEFINITIONS = {
    "precision": "share of generated examples within reach of one of the data: its k-th neighbour",
    "recall": "share of the data within reach of a generated example",
    "density": "how many examples of the data have a generated one within reach, by k; over 1 where they crowd",
    "coverage": "share of the data that have a generated example within reach",
}


@final
@dataclass(kw_only=True, eq=False)
class Prdc(OfGenerated):
    """Precision, recall, density and coverage: are generated examples like the data, and do they cover the data.

    Each example reaches as far as its k-th neighbour in its own set. ``floor`` in the details is the score of training
    examples in place of the generated ones, which a perfect model has. Recall and coverage have a number for each
    example of the data, so that two models can be compared on the same ones; the errors leave out that the other set is a
    sample too.

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

    k: Annotated[int, Ge(1), Doc("which neighbour an example reaches to")] = 5

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject)
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


@dataclass(frozen=True)
class Overlap:
    """Numbers of each point with respect to the other set; the scores are their means.

    Args:
        precision: whether a generated point lies in a ball around a real one, ``(M,)``.
        recall: whether a real point lies in a ball around a generated one, ``(N,)``.
        density: in how many balls around real points a generated point lies, by k, ``(M,)``.
        coverage: whether a generated point lies in the ball around a real one, ``(N,)``.
    """

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def overlap(real: Tensor, made: Tensor, k: int = 5) -> Overlap:
    """Precision, recall, density and coverage; the ball around a point reaches to its k-th neighbour in its set.

    Args:
        real: features of the data, ``(N, D)``, N over k.
        made: features of generated examples, ``(M, D)``, M over k.
        k: which neighbour.

    Example:
        >>> points = torch.arange(20.0)[:, None]
        >>> found = overlap(points, points + 100, k=3)
        >>> found.precision.mean(), found.coverage.mean()
        (tensor(0., dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    ball_real, ball_made = _reaches(real, k), _reaches(made, k)
    inside = torch.zeros(len(made), dtype=torch.float64, device=made.device)
    recall, nearest = [], []
    for rows, squares in distances_by_rows(real, made):
        # Roots, because two distances may be equal whose squares differ by rounding.
        distances = squares.sqrt_()
        inside += (distances < ball_real[rows, None]).sum(0)
        recall.append((distances < ball_made).any(1))
        nearest.append(distances.amin(1))
    return Overlap(
        (inside > 0).double(),
        torch.cat(recall).double(),
        inside / k,
        (torch.cat(nearest) < ball_real).double(),
    )


def _reaches(x: Tensor, k: int) -> Tensor:
    """The distance of each point to its k-th neighbour, not counting itself, ``(N, D) → (N,)``."""
    parts = [
        squares.sqrt_().topk(k + 1, dim=1, largest=False).values[:, -1]
        for _, squares in distances_by_rows(x, x, diagonal=True)
    ]
    return torch.cat(parts)
