"""Laws for the uncertainty of metrics: a standard error is as large as numbers differ from sample to sample."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from genmod.data.dataset import TensorSplit
from genmod.evaluation.metric import Metric
from genmod.evaluation.row import Row
from genmod.evaluation.subject import Subject
from genmod.model.latent_variable import LatentVariableModel
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
from genmod.testing.checks.metrics import defined, numbers_of, repeated, subject_of

__all__: list[str] = []

_COUNT, _TIMES = 100, 8
_FACTOR, _OF_MEANS = 5.0, 2.0
"""By how much a standard error may differ from what is seen; of a mean of examples, whose error is known."""


def _rows(metric: Metric, subjects: Iterable[Subject]) -> dict[str, list[Row]]:
    """The rows of a name, of all subjects for which there is one."""
    rows: dict[str, list[Row]] = {}
    for subject in subjects:
        for name, found in numbers_of(metric, subject).items():
            if isinstance(found, Row):
                rows.setdefault(name, []).append(found)
    return rows


@check_for(
    "metric",
    remedy="divide by √n, as mean_row does; NaN if it is unknown; details error_of='draws' if the data are given",
    once=True,
)
def check_metric_errors(case: Case) -> None:
    """Over samples of the data numbers differ by about their standard error; that of a mean over examples is s/√n."""
    metric, ((make, _), *_) = defined(case)
    seldom = list[Row]()
    for row in numbers_of(metric, next(repeated(make, _COUNT, 1, data=True))).values():
        if not isinstance(row, Row) or math.isnan(row.standard_error + row.value):
            continue
        if row.examples is None or row.n < 2:
            seldom.append(row)
            continue
        error = float(row.examples.std()) / row.n**0.5
        _expect_alike(row.name, row.standard_error, error, f"s/√n of its {row.n} examples", _OF_MEANS)
    for data, of in ((True, "data"), (False, "draws")):
        names = [row.name for row in seldom if row.details.get("error_of", "data") == of]
        if names:
            _expect_coverage(metric, make, names, data=data)


def _expect_coverage(
    metric: Metric, make: Callable[[], LatentVariableModel], names: list[str], *, data: bool
) -> None:
    rows = _rows(metric, repeated(make, _COUNT, _TIMES, data=data))
    for name in names:
        # Where a number is seldom defined, or mostly the same, as a count is, it says little.
        values = torch.tensor([row.value for row in rows[name]], dtype=torch.float64)
        errors = torch.tensor([row.standard_error for row in rows[name]], dtype=torch.float64)
        if len(values) < _TIMES or len(values.unique()) < _TIMES // 2 or (values + errors).isnan().any():
            continue
        what = f"the spread over {_TIMES} {'samples of' if data else 'measurements of the same'} {_COUNT} examples"
        _expect_alike(name, float(errors.square().mean().sqrt()), float(values.std()), what, _FACTOR)


def _expect_alike(name: str, stated: float, seen: float, what: str, factor: float) -> None:
    slight = 1e-9 + 1e-6 * seen
    expect(
        stated < factor * seen + slight and seen < factor * stated + slight,
        f"the standard error of {name} is {stated:.4g}, and {what} is {seen:.4g}",
    )


@check_for("metric", remedy="give the numbers of examples in the order of the split", once=True)
def check_metric_examples(case: Case) -> None:
    """Numbers of single examples are in the order of the split, so that two models are compared example by example."""
    checked = False
    metric, tried = defined(case)
    for make, numbers in tried:
        if not any(isinstance(each, Row) and each.examples is not None for each in numbers.values()):
            continue
        subject = subject_of(make)
        backwards = subject.split.__getitems__(range(len(subject.split) - 1, -1, -1))
        training = subject.of("train")
        turned, again = (
            Subject(subject.model, split, train=lambda given=training: given, seed=seed)  # type: ignore[misc]
            for split, seed in ((TensorSplit(backwards), 5), (subject.split, 6))
        )
        first, there, other = (_examples(metric, each) for each in (subject, turned, again))
        for name, values in first.items():
            if name not in there or name not in other or not values.std() > 0:
                continue
            if not len(values) == len(there[name]) == len(other[name]) == len(backwards.x):
                continue
            checked = True
            by_seed, mixed = _apart(values, other[name]), _apart(values, there[name])
            paired = _apart(values, there[name].flip(0))
            expect(
                paired <= 0.7 * max(mixed, 1e-12) or paired <= 3 * by_seed + 1e-6 * float(values.std()),
                f"{name} of the examples in the opposite order differs by {paired:.4g} from what it was, and by "
                f"{mixed:.4g} from that of other examples; another seed changes it by {by_seed:.4g}",
            )
    if not checked:
        raise NotApplicable("it has no numbers of single examples")


def _examples(metric: Metric, subject: Subject) -> dict[str, Tensor]:
    found = numbers_of(metric, subject)
    return {name: r.examples for name, r in found.items() if isinstance(r, Row) and r.examples is not None}


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())
