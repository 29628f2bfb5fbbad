"""Comparing models: paired differences on the same data, and which of them are significant."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genmod.evaluation.row import Evaluation, Row
from genmod.evaluation.significance import chance_of_difference, chance_of_paired

__all__ = ["Difference", "differences", "holm"]

LEVEL = 0.05
"""Significance level: the probability of at least one false positive among all differences."""


@dataclass(frozen=True)
class Difference:
    """The difference of a number between a model and the reference.

    Args:
        metric: name of the number.
        model: name of the model.
        reference: name of the reference.
        value: number of the model minus number of the reference.
        standard_error: of that difference.
        p: p-value of the difference, two-sided, corrected for the number of comparisons.
        paired: whether it is the mean of differences of the same examples.
        better: ``model``, ``reference``, or empty where neither is better or the difference is not significant.
    """

    metric: str
    model: str
    reference: str
    value: float
    standard_error: float
    p: float
    paired: bool
    better: str = ""

    @property
    def real(self) -> bool:
        """Whether it is significant."""
        return self.p < LEVEL

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "real": self.real}


def differences(evaluations: Mapping[str, Evaluation], reference: str | None = None) -> list[Difference]:
    """Differences of every number of every model from that of a reference.

    Where both have a number for each of the same examples, the differences of these are tested,
    ``t = mean / (s / sqrt(n))``: what makes an example hard for both models cancels. Elsewhere
    ``t = (a - b) / sqrt(SE_a² + SE_b²)``. Two-sided, by Student's t, and corrected by Holm over all rows.

    The examples must be the same ones in the same order, with the same seed, so that binary images are drawn alike.

    Args:
        evaluations: name of each model → its numbers, measured with one seed on the same split.
        reference: one of the names; the first by default.

    Raises:
        KeyError: there is no model of that name.

    Reference:
        A simple sequentially rejective multiple test procedure (Holm, 1979), jstor:4615733

    Example:
        >>> import torch
        >>> from genmod import mean_row
        >>> noise = torch.arange(100.0)
        >>> a, b = (Evaluation((mean_row("elbo", noise + shift, "nats", "", "higher"),), {}) for shift in (0, 0.5))
        >>> [found] = differences({"a": a, "b": b})
        >>> found.value, found.paired, found.better
        (0.5, True, 'model')
    """
    if not evaluations:
        return []
    reference = next(iter(evaluations)) if reference is None else reference
    known = {row.name: row for row in evaluations[reference].rows}
    found = [
        _difference(row, known[row.name], model, reference)
        for model, evaluation in evaluations.items()
        for row in evaluation.rows
        if model != reference and row.name in known
    ]
    corrected = holm([each.p for each in found])
    return [_judged(each, p, known[each.metric].better) for each, p in zip(found, corrected, strict=True)]


def _difference(row: Row, other: Row, model: str, reference: str) -> Difference:
    if row.examples is not None and other.examples is not None and row.n == other.n:
        gaps = row.examples - other.examples
        value, paired = gaps.mean().item(), True
        error = gaps.std(correction=1).item() / math.sqrt(row.n) if row.n > 1 else math.nan
        p = chance_of_paired(value, error, row.n)
    else:
        value, paired = row.value - other.value, False
        error = math.hypot(row.standard_error, other.standard_error)
        p = chance_of_difference(value, *((each.standard_error, each.n) for each in (row, other)))
    return Difference(row.name, model, reference, value, error, p, paired)


def _judged(found: Difference, p: float, better: str) -> Difference:
    winner = ""
    if p < LEVEL and better:
        winner = "model" if (found.value > 0) == (better == "higher") else "reference"
    return Difference(**{**asdict(found), "p": p, "better": winner})


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected by Holm: the probability of any false positive below a level is at most that level.

    ``p_(i) → max_{j ≤ i} min(1, (m - j + 1) p_(j))``, in increasing order

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = highest
    return corrected
