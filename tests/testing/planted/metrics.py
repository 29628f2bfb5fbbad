"""Faults: metrics."""

import math

import torch

from genmod import (
    Row,
    Undefined,
    mean_row,
)
from genmod.scaffold.templates.metric import TemplateMetric
from planted import FAULTS, Fault, caught_by


def yields(row):
    """A metric with one number, made of the subject by a function."""

    class Of(TemplateMetric):
        """Something."""

        def measure(self, subject):
            yield row(subject)

    return Of


def of_codes(change):
    """The metric, of codes that were changed."""
    return yields(lambda subject: mean_row("it", change(subject), "", "something"))


def in_training_mode(subject):
    means = subject.codes().means.flatten(1).sum(1)
    subject.model.train()
    return means


FAULTS += [
    Fault(
        yields(lambda subject: Row("it", math.nan, 0.0, 3, "", "x")),
        "check_metric_rows",
        ("check_metric_undefined", "check_metric_repeats"),
    ),
    Fault(
        yields(lambda subject: Row("it", 1.0, 0.0, 3, "", "")),
        "check_metric_rows",
        ("check_metric_undefined",),
    ),
    Fault(
        of_codes(lambda subject: torch.randn(5)),
        "check_metric_repeats",
        ("check_metric_leaves", "check_metric_undefined"),
    ),
    Fault(of_codes(in_training_mode), "check_metric_leaves"),
    Fault(
        of_codes(lambda subject: subject.codes("train").means.flatten(1)[:40].sum(1) / len(subject.split)),
        "check_metric_undefined",
    ),
]


@caught_by("check_metric_undefined", "check_metric_rows")
class LeavesTheReasonOut(TemplateMetric):
    def measure(self, subject):
        yield from super().measure(subject)
        if subject.model.missing_densities():
            yield Undefined("density", "")


@caught_by("check_metric_leaves", "check_metric_repeats")
class MovesTheModel(TemplateMetric):
    def measure(self, subject):
        for parameter in subject.model.parameters():
            parameter.add_(0.1)
        yield from super().measure(subject)
