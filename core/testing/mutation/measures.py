"""Faults in metrics, features and samplers, and in options of any kind."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genmod.evaluation.row import Row
from genmod.system.random import reseed
from genmod.testing.mutation.mutator import (
    Attributes,
    NoChange,
    Seen,
    after,
    before,
    mutates,
    replaced,
    reseeding,
)

__all__: list[str] = []


def _rows(name: str, check: str, change: Any) -> None:
    """A fault in each number of a metric: ``change(row)``."""

    @mutates(name, "metric", check=check)
    def _(cls: Any, seen: Seen) -> Attributes:
        def changed(self: Any, rows: Any, subject: Any) -> Iterator[Any]:
            for row in rows:
                yield seen(row, change(row)) if isinstance(row, Row) else row

        return after(cls, "measure", changed, Seen())


def _by_chance(row: Row) -> Row:
    return replace(row, value=row.value + float(torch.rand(())), examples=None)


_rows("its numbers depend on the global random state", "check_metric_repeats", _by_chance)
_rows(
    "its numbers are not finite", "check_metric_rows", lambda row: replace(row, value=math.nan, examples=None)
)
_rows("nothing says what a number is", "check_metric_rows", lambda row: replace(row, definition=" "))
_rows(
    "a number is not the mean of its examples",
    "check_metric_rows",
    lambda row: row if row.examples is None else replace(row, value=row.value + 1),
)
_rows(
    "the standard deviation is given as the standard error",
    "check_metric_errors",
    lambda row: replace(row, standard_error=row.standard_error * row.n**0.5),
)


@mutates("it leaves the model in training mode", "metric", check="check_metric_leaves")
def _left(cls: Any, seen: Seen) -> Attributes:
    def measure(self: Any, original: Any, subject: Any) -> Iterator[Any]:
        yield from original(subject)
        subject.model.train()

    return replaced(cls, "measure", measure, seen)


@mutates("it seeds the global generator", "metric", check="check_metric_leaves")
def _seeds(cls: Any, seen: Seen) -> Attributes:
    def measure(self: Any, original: Any, subject: Any) -> Iterator[Any]:
        reseed(271)
        yield from original(subject)

    return replaced(cls, "measure", measure, seen)


@mutates("features depend on the batch", "features", check="check_features_rows")
def _of_batch(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, x: found - found.mean(0, keepdim=True), seen)


@mutates("features are drawn", "features", check="check_features_rows")
def _drawn(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, found, x: found + 0.1 * torch.randn_like(found), seen)


@mutates("a fit depends on the global random state", "features", check="check_features_fit")
def _fitted_by_chance(cls: Any, seen: Seen) -> Attributes:
    return before(cls, "fit", lambda self, x, *others: (x + 0.01 * torch.randn_like(x), *others), seen)


@mutates("it is fitted to codes half as wide", "sampler", check="check_sampler_recovers")
def _narrow(cls: Any, seen: Seen) -> Attributes:
    return before(cls, "fit", lambda self, codes, *others: (codes / 2, *others), seen)


@mutates("a fit depends on the global random state", "sampler", check="check_sampler_seed")
def _by_chance_fitted(cls: Any, seen: Seen) -> Attributes:
    def noisy(self: Any, codes: Tensor, *others: Any) -> tuple[Any, ...]:
        return (codes * (1 + 0.01 * torch.rand_like(codes)), *others)

    return before(cls, "fit", noisy, seen)


@mutates("it changes the codes in place", "sampler", check="check_sampler_dtype")
def _in_place(cls: Any, seen: Seen) -> Attributes:
    def fit(self: Any, original: Any, codes: Tensor, *others: Any) -> Any:
        found = original(codes, *others)
        codes.mul_(1.01)
        return found

    return replaced(cls, "fit", fit, seen)


@mutates("a fit seeds the global generator", "sampler", check="check_sampler_random_state")
def _seeded_fit(cls: Any, seen: Seen) -> Attributes:
    return reseeding(cls, "fit", seen)


@mutates("latents depend on each other no more", "sampler", check="check_sampler_recovers")
def _shuffled(cls: Any, seen: Seen) -> Attributes:
    if cls.independent:
        raise NoChange("it declares that its latents are independent")

    def shuffled(self: Any, codes: Tensor, *others: Any) -> tuple[Any, ...]:
        flat, fixed = codes.flatten(1), torch.Generator().manual_seed(1)
        columns = [column[torch.randperm(len(column), generator=fixed)] for column in flat.T]
        return (torch.stack(columns, 1).view_as(codes), *others)

    return before(cls, "fit", shuffled, seen)
