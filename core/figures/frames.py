"""Samples and reconstructions of tables as DataFrames, in the user's units."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genmod.data.column import Column
from genmod.data.dataset import Batch
from genmod.data.frames import to_frame
from genmod.figures.views import encode_centres, evaluating, observed, sample_grid
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import MOST

__all__ = ["reconstructed_frame", "sampled_frame"]


def sampled_frame(
    model: LatentVariableModel,
    n: int,
    *,
    seed: int = 0,
    condition: str | None = None,
    source: Source | None = None,
    temperature: float | Sequence[float] = 1.0,
    like: Any = None,
) -> Any:
    """New rows of a table: draws from ``p(x|z)`` of ``z ~ p(z)``, or from a sampler.

    Numbers are kept within the range that they had in training. Constants are filled in, identifiers are numbers from 1, and
    the label and factors are those that a conditional model was given, else empty.

    Args:
        model: of a table with named columns.
        n: how many rows.
        seed, condition, source, temperature: as of :func:`genmod.figures.sample_grid`.
        like: a DataFrame, or the name of its package, as of :func:`genmod.data.frames.to_frame`.
    """
    drawn = sample_grid(
        model, n, seed=seed, noise=True, condition=condition, source=source, temperature=temperature
    )
    with evaluating(model, seed):
        context = model.asked(condition, n)
    return to_frame(model.data, drawn.images, like, _given_of(model, context), clip=True)


def reconstructed_frame(
    model: LatentVariableModel,
    batch: Batch,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    like: Any = None,
) -> Any:
    """Rows of a table as the model gives them back from their codes: the most probable category, the mean of numbers.

    Args:
        model: of a table with named columns.
        batch: the rows, as they are stored.
        names: of the rows, for the column that has them.
        seed: where the posterior has no mean.
        like: as of :func:`sampled_frame`.
    """
    context, rows = model.context(batch), []
    z = encode_centres(model, observed(model, batch.x, seed=seed), context=context, seed=seed)
    with evaluating(model, seed):
        for start in range(0, len(z), MOST):
            part = slice(start, start + MOST)
            given = model.given(None if context is None else context[part])
            rows.append(_typical(given.decode(z[part])))
    keep = _labels_of(model, batch)
    identifiers = [
        column for column in model.data.columns if column.kind == "identifier" and not column.given
    ]
    if names is not None and len(identifiers) == 1:
        whole = identifiers[0].dtype.startswith(("Int", "UInt"))
        keep[identifiers[0].name] = [int(name) if whole else name for name in names]
    else:
        keep |= {column.name: [None] * len(batch) for column in identifiers}
    return to_frame(model.data, torch.cat(rows), like, keep, clip=True)


def _typical(likelihood: Any) -> Tensor:
    try:
        found: Tensor = likelihood.mode
    except NotImplementedError:
        found = likelihood.mean
    return found


def _columns_of(model: LatentVariableModel) -> dict[str, Column]:
    """The columns of the label and of factors, by what a model calls them."""
    factors = {factor.name for factor in model.data.factors}
    given = [column for column in model.data.columns if column.given]
    return {column.name if column.name in factors else "label": column for column in given}


def _given_of(model: LatentVariableModel, context: Tensor | None) -> dict[str, list[Any]]:
    """Cells of the columns that a conditional model was given, by column."""
    if context is None or model.conditions is None:
        return {}
    columns, places = _columns_of(model), model.conditions.places_of(context)
    return {
        columns[name].name: [columns[name].values[code] for code in codes]
        for name, codes in zip(model.conditions.values, places.T.tolist(), strict=True)
        if name in columns
    }


def _labels_of(model: LatentVariableModel, batch: Batch) -> dict[str, list[Any]]:
    """Cells of the label and of factors, as the rows have them."""
    found = {}
    for name, column in _columns_of(model).items():
        codes = batch.labels
        if name != "label" or "label" in [factor.name for factor in model.data.factors]:
            place = [factor.name for factor in model.data.factors].index(name)
            codes = None if batch.factors is None else batch.factors[:, place]
        if codes is not None:
            # Values that the model does not know come after its own.
            found[column.name] = [
                column.values[k] if k < len(column.values) else None for k in codes.tolist()
            ]
    return found
