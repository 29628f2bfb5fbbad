"""Faults: metrics."""

import math

import numpy as np
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
        ("check_metric_examples",),
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


def lengths(subject):
    return subject.codes().means.flatten(1).square().sum(1).double()


def stated(error, *, examples=False):
    """The mean of the lengths of codes, with an error that is a function of them."""

    def row(subject):
        each = lengths(subject)
        given = each.cpu() if examples else None
        return Row("it", float(each.mean()), float(error(each)), len(each), "", "mean", examples=given)

    return yields(row)


def planted(name, target, check, *others):
    """Plant a class that a function made, under a name of its own."""
    target.__name__ = name
    FAULTS.append(Fault(target, check, others))


def as_if_certain(subject):
    return Row("it", float(lengths(subject).mean()), 0.0, len(subject.split), "", "mean")


planted("SpreadOfTheExamples", stated(lambda x: x.std(correction=0), examples=True), "check_metric_errors")
planted("SpreadWithoutExamples", stated(lambda x: x.std(correction=0)), "check_metric_errors")
planted("VarianceForError", stated(lambda x: x.var(correction=0)), "check_metric_errors")
planted("DividesByNNotItsRoot", stated(lambda x: x.std(correction=0) / len(x)), "check_metric_errors")
planted("SaysThatItIsCertain", yields(as_if_certain), "check_metric_errors")
planted("SortsItsExamples", of_codes(lambda subject: lengths(subject).sort().values), "check_metric_examples")
planted(
    "TurnsItsExamplesRound",
    of_codes(lambda subject: lengths(subject)[torch.arange(len(subject.split)) - 1]),
    "check_metric_examples",
)
planted(
    "InUnitsOfTheirSpread",
    of_codes(lambda subject: lengths(subject) / lengths(subject).std(correction=0)),
    "check_metric_undefined",
)
planted(
    "ByTheSpreadOfTheData",
    of_codes(lambda subject: lengths(subject) / subject.examples().std(0).max()),
    "check_metric_undefined",
)
planted(
    "OfLinearDecodersAlone",
    of_codes(lambda subject: lengths(subject) * subject.model.network.layer.weight.norm()),
    "check_metric_undefined",
    "check_metric_rows",
)
planted(
    "DrawsFromNumPy",
    of_codes(lambda subject: lengths(subject) + np.random.default_rng().normal()),
    "check_metric_repeats",
    "check_metric_examples",
)
planted(
    "MovesNumPy",
    of_codes(lambda subject: lengths(subject) + 0 * np.random.normal()),
    "check_metric_leaves",
)
planted(
    "CountsTwice",
    yields(
        lambda subject: Row("it", float(lengths(subject).mean()), 1.0, 80, "", "x", examples=lengths(subject))
    ),
    "check_metric_rows",
    "check_metric_undefined",
    "check_metric_errors",
    "check_metric_examples",
)


@caught_by("check_metric_repeats", "check_metric_examples", "check_metric_undefined")
class RemembersItsFirstModel(TemplateMetric):
    """What it computed once it says of every model."""

    def __init__(self):
        super().__init__()
        self.kept = None

    def measure(self, subject):
        for row in super().measure(subject):
            self.kept = self.kept or row
            yield self.kept


@caught_by("check_metric_leaves", "check_metric_examples")
class ScalesTheDataInPlace(TemplateMetric):
    def measure(self, subject):
        yield from super().measure(subject)
        subject.split.batch.x.mul_(2)


@caught_by("check_metric_rows")
class OneNameForTwoNumbers(TemplateMetric):
    def measure(self, subject):
        yield from super().measure(subject)
        yield from super().measure(subject)


@caught_by("check_metric_leaves")
class SeedsWithZero(TemplateMetric):
    def measure(self, subject):
        torch.manual_seed(0)
        yield from super().measure(subject)


@caught_by("check_metric_leaves")
class SetsTheSeedOfBeforeAgain(TemplateMetric):
    def measure(self, subject):
        torch.manual_seed(torch.initial_seed())
        yield from super().measure(subject)


@caught_by("check_metric_leaves")
class FreezesTheModel(TemplateMetric):
    def measure(self, subject):
        yield from super().measure(subject)
        subject.model.requires_grad_(False)
