"""Estimates of ``log p(x)`` as rows, with their bits per dimension."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genmod import (
    Batch,
    GivenModel,
    LatentVariableModel,
    Row,
    Subject,
    Undefined,
    UndefinedError,
    bits_per_dim,
    mean_row,
)
from genmod.evaluation import given_exposure, no_bits, spread
from genmod.system import drawn_on_cpu

__all__ = ["Estimate", "Estimator", "dequantisation", "likelihood_rows"]

_SPREAD = "uniform noise, one draw for each example"


@dataclass(frozen=True)
class Estimate:
    """Estimates of ``log p(x)`` of examples.

    Args:
        log_prob: ``(B,)``, nats.
        variance: of these estimates, by the draws, ``(B,)``; None where nothing is drawn.
        notes: other numbers of each, by the name of their mean, ``(B,)`` each.
        settings: options that the estimate depends on, such as the number of draws.
    """

    log_prob: Tensor
    variance: Tensor | None = None
    notes: Mapping[str, Tensor] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


Estimator = Callable[[Tensor, Tensor | None, Callable[[int], None]], Mapping[str, Estimate]]
"""Observations ``(B, *data.shape)``, their conditions and a callback for the number done → estimates by label."""

Estimates = dict[str, list[Estimate]]


def likelihood_rows(
    subject: Subject,
    stream: str,
    estimator: Estimator,
    definition: str,
    *,
    size: int | None = None,
    limit: int | None = None,
) -> Iterator[Row | Undefined]:
    """``nll[label]`` and ``bits_per_dim[label]`` of each estimate.

    Bits per dimension of a density on data with levels are estimated from levels that are spread over their cells.

    Args:
        subject: what is measured.
        stream: of random numbers.
        estimator: estimates of a batch.
        definition: of the negative log-likelihood, in one line.
        size: examples at a time, at most.
        limit: only as many of the first examples.

    Raises:
        UndefinedError: the model has no likelihood.
    """
    model = subject.model
    if model.missing_densities():
        raise UndefinedError(f"the model has no likelihood: {model.missing_densities()}")
    size = min(size or subject.size, subject.size)
    of_data: Estimates = {}
    of_cells: Estimates = {} if _spreads(model) else of_data
    count = min(len(subject.split), limit or len(subject.split))
    total, done = count * (2 if _spreads(model) else 1), 0

    def report(before: int, more: int) -> None:
        subject.progress(stream, before + more, total)

    def estimate(values: Tensor, context: Tensor | None, begun: int) -> Estimates:
        nonlocal done
        store: Estimates = {}
        for start in range(0, len(values), size):
            some = slice(start, min(start + size, len(values)))
            condition = None if context is None else context[some]
            with subject.drawing(stream, begun + start):
                found = estimator(values[some], condition, partial(report, done))
            for label, each in found.items():
                store.setdefault(label, []).append(each)
            done += len(values[some])
        return store

    def of_batch(begun: int, given: GivenModel, x: Tensor, batch: Batch) -> tuple[Estimates, Estimates]:
        left, context = count - begun, model.context(batch)
        with drawn_on_cpu(model.device):
            y = spread(model, batch.x, x) if _spreads(model) else x
        found = estimate(x[:left], context, begun)
        return found, estimate(y[:left], context, begun) if _spreads(model) else {}

    # One stream for all of these metrics: they see the same binary images and the same noise on levels. Whole batches, since
    # fewer examples would draw other numbers.
    whole = -(-count // subject.size) * subject.size
    for found in subject.over_batches("likelihood", of_batch, limit=whole):
        for store, more in zip((of_data, of_cells), found, strict=True):
            for label, each in more.items():
                store.setdefault(label, []).extend(each)
    for label in of_data:
        yield from _rows(subject, label, of_data[label], of_cells[label], definition)


def _rows(
    subject: Subject, label: str, of_data: list[Estimate], of_cells: list[Estimate], definition: str
) -> Iterator[Row | Undefined]:
    model, name = subject.model, f"nll[{label}]"
    nll, without_bits = -_joined([part.log_prob for part in of_data]), no_bits(model)
    wrong = len(nll) - int(nll.isfinite().sum())
    if wrong:
        subject.warn(f"{name} is not finite for {wrong} of {len(nll)} examples")
    how, (given, given_detail) = dequantisation(model), given_exposure(model)
    details, definition = {**_details(of_data, how), **given_detail}, definition + given
    if without_bits:
        yield mean_row(name, nll, "nats", definition, "lower", details)
        yield Undefined(f"bits_per_dim[{label}]", without_bits)
        return
    cells = _joined([part.log_prob for part in of_cells])
    bits = mean_row(
        f"bits_per_dim[{label}]",
        bits_per_dim(cells, model.data.size, model.observations.cell or 1.0),
        "bits",
        f"{name} in bits for each value of an example, a code length{given}",
        "lower",
        {**_details(of_cells, _SPREAD if _spreads(model) else how), **given_detail},
    )
    yield mean_row(name, nll, "nats", definition, "lower", {**details, "bits_per_dim": bits.value})
    yield bits


def dequantisation(model: LatentVariableModel) -> str:
    """How the levels of the data were treated before their likelihood was computed."""
    of = model.observations
    if of.support.is_discrete:
        return "none: probabilities"
    if of.cell is None:
        return "none: continuous data"
    if of.dequantize:
        return _SPREAD
    return "none: densities at bare levels, which bound no code length"


def _spreads(model: LatentVariableModel) -> bool:
    """Whether bits per dimension are those of other values than the likelihood."""
    of = model.observations
    return not (no_bits(model) or of.support.is_discrete or of.dequantize)


def _details(parts: list[Estimate], how: str) -> dict[str, Any]:
    """Details of the mean of estimates."""
    found = dict(parts[0].settings)
    for name in parts[0].notes:
        found[name] = _joined([part.notes[name] for part in parts]).mean().item()
    variances = _joined(
        [part.variance for part in parts if part.variance is not None] or [torch.tensor([torch.nan])]
    )
    # That of a single draw is not known.
    if not variances.isnan().any():
        found["error_of_draws"] = variances.sum().sqrt().item() / len(variances)
    return {**found, "dequantisation": how}


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().cpu().double() for part in parts])
