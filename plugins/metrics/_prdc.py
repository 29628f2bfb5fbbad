"""Precision, recall, density and coverage of a set of points, by balls around the nearest neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.evaluation import distances_by_rows

__all__ = ["Overlap", "overlap"]


@dataclass(frozen=True)
class Overlap:
    """What each point has to do with the other set; the scores are the means.

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

    Reference:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019),
        arXiv:1904.06991; Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
        arXiv:2002.09797

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
