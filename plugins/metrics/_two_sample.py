"""Tests of whether two sets of examples have the same distribution, with p-values that hold."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genmod.evaluation import nearest, squared_distances
from genmod.plugins._sklearn import quietly_fitted
from genmod.plugins.metrics._kernel import gaussian

__all__ = ["Verdict", "classifier_test", "kernel_test", "rank_sums", "usual_distance"]

_FEW = 2000


@dataclass(frozen=True)
class Verdict:
    """The result of a test.

    Args:
        statistic: larger where the sets differ more.
        p: the chance of a statistic as large or larger if both sets had the same distribution; uniform between 0 and 1
            then.
    """

    statistic: float
    p: float


def usual_distance(x: Tensor) -> float:
    """The median distance between two of the points ``(N, D)``, of the first 2,000; 1 where all are equal.

    Example:
        >>> usual_distance(torch.tensor([[0.0], [1.0], [3.0]]))
        2.0
    """
    some = x[:_FEW]
    squares = squared_distances(some, some)
    above = squares[torch.ones_like(squares).triu(1).bool()]
    return float(above.median().sqrt()) or 1.0


def kernel_test(
    x: Tensor, y: Tensor, *, width: float, permutations: int, generator: torch.Generator
) -> Verdict:
    """The kernel two-sample test, by permutations of which example is in which set.

    The statistic is the biased MMD² with a Gaussian kernel, which a permutation orders as it orders the unbiased one
    where both sets are of equal size.

    Args:
        x: features, ``(N, D)``.
        y: features, ``(M, D)``.
        width: of the kernel; it may depend on all points together, as :func:`usual_distance` does.
        permutations: how many; the smallest p is ``1 / (permutations + 1)``.
        generator: of the permutations, on the CPU.

    Reference:
        A Kernel Two-Sample Test (Gretton et al., 2012), jmlr v13/gretton12a
    """
    both = torch.cat([x, y]).double()
    kernel = gaussian(width)(both, both)
    signs = torch.cat([torch.full((len(x),), 1 / len(x)), torch.full((len(y),), -1 / len(y))]).double()
    weights = signs[_orders(len(both), permutations, generator)].to(both.device)
    return _verdict(((weights @ kernel) * weights).sum(1))


def classifier_test(
    x: Tensor,
    y: Tensor,
    *,
    classifier: Literal["logistic", "knn"],
    permutations: int,
    generator: torch.Generator,
) -> tuple[Verdict, float, int]:
    """The classifier two-sample test: can a classifier separate the sets on unseen examples?

    It is trained on one half of each set. The p-value is that of how it ranks the other half, by permutations of
    which of those are in which set.

    Args:
        x: features, ``(N, D)``, N from 4.
        y: features, ``(M, D)``, M from 4.
        classifier: linear, or by the neighbours, as many as the root of the number of its training examples.
        permutations: how many; the smallest p is ``1 / (permutations + 1)``.
        generator: of halves and permutations, on the CPU.

    Returns:
        The verdict, whose statistic is the area under the ROC curve; the accuracy on the unseen examples; their number.

    Reference:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), arXiv:1610.06545
    """
    halves = []
    for label, points in enumerate((x.double().cpu(), y.double().cpu())):
        order = torch.randperm(len(points), generator=generator)
        middle = len(points) // 2
        labels = torch.full((len(points),), label)
        halves.append([(points[part], labels[part]) for part in (order[:middle], order[middle:])])
    (seen, classes), (unseen, truth) = (
        (torch.cat([half[part][0] for half in halves]), torch.cat([half[part][1] for half in halves]))
        for part in (0, 1)
    )
    width, mean = torch.std_mean(seen, 0)
    width = torch.where(width > 0, width, 1.0)
    score = _SCORES[classifier]((seen - mean) / width, classes, (unseen - mean) / width)
    accuracy = float(((score > 0).long() == truth).double().mean())
    ranks = rank_sums(score)
    orders = _orders(len(truth), permutations, generator)
    positives = int(truth.sum())
    sums = (truth[orders].double() @ ranks) - positives * (positives + 1) / 2
    verdict = _verdict(sums)
    area = verdict.statistic / (positives * (len(truth) - positives))
    return Verdict(area, verdict.p), accuracy, len(truth)


def rank_sums(values: Tensor) -> Tensor:
    """The rank of each value from 1, equal ones sharing the mean of theirs, ``(N,) → (N,)`` double.

    Example:
        >>> rank_sums(torch.tensor([3.0, 1.0, 3.0]))
        tensor([2.5000, 1.0000, 2.5000], dtype=torch.float64)
    """
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[inverse]


def _logistic(seen: Tensor, classes: Tensor, unseen: Tensor) -> Tensor:
    from sklearn.linear_model import LogisticRegression

    # A classifier that has not converged is a valid one, and of less power at most.
    fitted = quietly_fitted(LogisticRegression(max_iter=200), seen.numpy(), classes.numpy())
    return torch.from_numpy(fitted.decision_function(unseen.numpy()))


def _neighbours(seen: Tensor, classes: Tensor, unseen: Tensor) -> Tensor:
    _, places = nearest(unseen, seen, max(1, math.isqrt(len(seen))))
    return classes[places].double().mean(1) - classes.double().mean()


_SCORES = {"logistic": _logistic, "knn": _neighbours}


def _orders(n: int, permutations: int, generator: torch.Generator) -> Tensor:
    """The order as it is, and permuted ones, ``(1 + permutations, n)``."""
    drawn = (torch.randperm(n, generator=generator) for _ in range(permutations))
    return torch.stack([torch.arange(n), *drawn])


def _verdict(statistics: Tensor) -> Verdict:
    """The p-value of the first statistic, that of the sets as they are, among those of permuted ones."""
    # Equal up to rounding is equal: the sums are over the same numbers in another order.
    slack = 1e-12 * float(statistics.abs().max())
    as_large = int((statistics[1:] >= statistics[0] - slack).sum())
    return Verdict(float(statistics[0]), (1 + as_large) / len(statistics))
