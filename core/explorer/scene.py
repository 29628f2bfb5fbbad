"""What the page has to know of a model: its latents, its examples and the ways through them."""

import base64
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo, Split
from genmod.distributions.codes import Codebook
from genmod.errors import DataError, UndefinedError
from genmod.explorer.examples import cells, pictures, shapes
from genmod.figures import activity, choose_examples, codes, prior_draws
from genmod.figures.bars import variables_of
from genmod.figures.palette import CLASSES, CLASSES_ON_DARK
from genmod.figures.plane import principal_axes
from genmod.figures.tiles import enlargement
from genmod.figures.views import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held

__all__ = ["context_of", "draw", "packed", "scene"]

_EXAMPLES = 1000
_NUMBERS = 400_000
_SLIDERS = 64
_SPREAD = 0.01
_CODES = 65_536


def packed(values: Tensor) -> str:
    """Numbers as base64 of little-endian single precision, which keeps them exact and short.

    Example:
        >>> packed(torch.tensor([1.0, 0.0]))
        'AACAPwAAAAA='
    """
    return base64.b64encode(values.detach().cpu().float().flatten().numpy().astype("<f4").tobytes()).decode()


def context_of(model: LatentVariableModel, given: Sequence[int]) -> Tensor | None:
    """The context of conditions by their numbers, ``(1, size)``; None for a model without one.

    Example:
        >>> import genmod
        >>> context_of(genmod.build("cvae", encoder="mlp", data="digits"), [3]).argmax()
        tensor(3)
    """
    if model.conditions is None:
        return model.with_exposure(None, 1)
    sizes = [len(values) for values in model.conditions.values.values()]
    parts = [torch.nn.functional.one_hot(torch.tensor([i]), n) for i, n in zip(given, sizes, strict=True)]
    return model.with_exposure(torch.cat(parts, 1).to(model.device, model.dtype), 1)


def draw(model: LatentVariableModel, n: int, given: Sequence[int], *, seed: int) -> Tensor:
    """``n`` latents from the prior, or from the sampler where one was fitted, ``(n, *latent_shape)``.

    Raises:
        UndefinedError: the model has neither.
    """
    context = context_of(model, given)
    context = None if context is None else context.expand(n, -1)
    with evaluating(model, seed):
        return model.latents(n, context)


def scene(
    model: LatentVariableModel, split: Split | None, *, name: str, seed: int = 0, number: int | None = None
) -> dict[str, Any]:
    """Plain data about a model, for the page.

    Args:
        model: any model.
        split: examples to show on the map; by default draws from the prior.
        name: of the model.
        seed: of the choice of examples, and of all draws.
        number: of examples, if fewer than a page takes.

    Returns:
        ``data``: shape, range and how examples are shown. ``examples``: how many are shown. ``pictures``: they themselves,
        small. ``latent``: shape, pieces, codebook and the range of each slider, the most active first. ``codes``: one for
        each example, with its class and factors. ``maps``: planes through the latent space. ``conditions``: what a
        conditional model is given.

    Raises:
        DataError: the split is empty, or a code is not finite.
        UndefinedError: there are no examples and no prior either; or the codebook is too large for a page.
    """
    size = math.prod(model.latent_shape)
    space = model.space
    count = held(max(50, min(_EXAMPLES, _NUMBERS // size)), model.data)
    count = min(count, number or count)
    split = None if split is None else model.suited(split)
    batch = None if split is None else choose_examples(split, count, seed=seed)
    if batch is None:
        given = model.asked(None, count)
        found = prior_draws(model, count, context=given, seed=seed)
        active, measure = found.flatten(1).var(0, correction=0), "variance of draws"
        values = None
    else:
        given = model.context(batch)
        found = codes(model, batch.x, context=given, seed=seed)
        amounts, measure = activity(model, batch.x, context=given, seed=seed)
        active = space.by_value(amounts)
        values = model.data.values(batch.x).float()
    z = space.settled(found.flatten(1).float().cpu())
    if len(z) == 0 or not bool(z.isfinite().all()):
        raise DataError(
            "there is no finite code of any example"
            if len(z) == 0
            else "the model has codes that are not finite",
            hint="train it again: genmod train DIR",
        )
    active = active.float().cpu().nan_to_num(0.0)
    facts = _data(model.data, values)
    low, high = facts["low"], facts["high"]
    return {
        "name": name,
        "parts": {
            kind: chosen.name
            for kind, chosen in model.spec.components.items()
            if kind in ("encoder", "posterior", "prior", "network", "decoder")
        },
        "data": {
            **facts,
            "cells": cells(values, model.data),
            "shapes": shapes(values, model.data, low, high) if facts["bounded"] else None,
            "enlarged": enlargement(model.data),
        },
        "latent": {
            "shape": list(model.latent_shape),
            "pieces": [piece.to_json() for piece in space.pieces],
            "sliders": _sliders(z, active, model, seed),
            "measure": measure,
            "groups": list(variables_of(model).groups),
            "book": None if space.codebook is None else _book(space.codebook),
        },
        "codes": packed(z),
        "start": int((z - z.mean(0)).square().sum(1).argmin()),
        "examples": 0 if batch is None else len(z),
        "pictures": None if values is None else pictures(values, model.data, low, high),
        "palette": {"light": list(CLASSES), "dark": list(CLASSES_ON_DARK)},
        "colours": [] if batch is None or split is None else _colours(split.info or model.data, batch),
        "maps": _maps(z, active, model.latent_shape),
        "conditions": []
        if model.conditions is None
        else [{"name": n, "values": list(v)} for n, v in model.conditions.values.items()],
        "given": None if given is None or model.conditions is None else _indices(model, given),
    }


def _data(data: DataInfo, values: Tensor | None) -> dict[str, Any]:
    """Shape and range; without bounds, the range of 99 % of the values shown."""
    low, high = data.low, data.high
    finite = torch.zeros(1) if values is None else values[values.isfinite()][:1_000_000]
    if math.isinf(low):
        low = float(finite.quantile(0.005)) if len(finite) else -1.0
    if math.isinf(high):
        high = float(finite.quantile(0.995)) if len(finite) else 1.0
    if not low < high:
        low, high = low - 1, low + 1
    dark = values is None or float(finite.mean()) < (low + high) / 2
    return {
        "shape": list(data.shape),
        "low": low,
        "high": high,
        "bounded": math.isfinite(data.low) and math.isfinite(data.high),
        "dark": dark,
        "missing": data.missing,
    }


def _book(book: Codebook) -> dict[str, Any]:
    """The places of a codebook, each with its values' numbers and a table of the vectors of its codes, kept once each."""
    count, tables = math.prod(book.shape), dict[str, int]()
    if book.classes * count > _CODES:
        raise UndefinedError(
            f"{count:,} places of {book.classes:,} codes are more than a page can show: {_CODES:,} in all",
            hint="genmod traverse and genmod interpolate draw them",
        )
    places = []
    for i, index in enumerate(product(*map(range, book.shape))):
        codes = torch.zeros(book.classes, count, dtype=torch.long)
        codes[:, i] = torch.arange(book.classes)
        z = book.embed(codes.reshape(-1, *book.shape)).detach().flatten(1)
        values = (z != z[:1]).any(0).nonzero()[:, 0]
        table = tables.setdefault(packed(z[:, values]), len(tables))
        name = "z" + ",".join(map(str, index))
        places.append({"name": name, "values": values.tolist(), "table": table})
    return {"places": places, "tables": list(tables)}


def _sliders(z: Tensor, active: Tensor, model: LatentVariableModel, seed: int) -> list[dict[str, float]]:
    """The most active values first, each from the first to the last percent of codes and of draws from the prior."""
    order = active.argsort(descending=True, stable=True)[:_SLIDERS]
    ends = torch.tensor([_SPREAD, 1 - _SPREAD])
    low, high = z[:, order].quantile(ends, 0)
    try:
        drawn = prior_draws(model, len(z), context=model.asked(None, len(z)), seed=seed)
        drawn = drawn.flatten(1).float().cpu()[:, order].quantile(ends, 0)
        low, high = torch.minimum(low, drawn[0]), torch.maximum(high, drawn[1])
    except UndefinedError:
        pass
    margin = 0.15 * (high - low) + 1e-3
    return [
        {"dimension": int(d), "low": float(a), "high": float(b), "activity": float(active[d])}
        for d, a, b in zip(order, low - margin, high + margin, strict=True)
    ]


def _colours(data: DataInfo, batch: Batch) -> list[dict[str, Any]]:
    """The colours of points: by class and by every factor."""
    found = []
    if batch.labels is not None:
        names = data.classes or tuple(map(str, range(int(batch.labels.max()) + 1)))
        found.append({"name": "label", "values": list(names), "of": batch.labels.tolist()})
    if batch.factors is not None:
        for i, factor in enumerate(data.factors):
            if factor.size > 1:
                names = factor.values or tuple(map(str, range(factor.size)))
                found.append({"name": factor.name, "values": list(names), "of": batch.factors[:, i].tolist()})
    return found


def _maps(z: Tensor, active: Tensor, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Planes through the mean code: of the two most active values, and of the two principal components."""
    size = z.shape[1]
    centre = z.mean(0)
    first, second = (active.argsort(descending=True, stable=True)[:2].sort().values.tolist() * 2)[:2]
    axes = torch.zeros(2, size)
    axes[0, first] = 1.0
    if size > 1:
        axes[1, second] = 1.0
    names = [_name(d, shape) for d in ([first, second] if size > 1 else [first])]
    direct = {
        "name": "latent plane" if size <= 2 else "most active",
        "labels": [*names, ""][:2],
        "origin": packed(torch.zeros(size) if size <= 2 else centre),
        "axes": [packed(axis) for axis in axes],
    }
    if size <= 2:
        return [direct]
    components, shares = principal_axes(z)
    return [
        {
            "name": f"principal components, {float(shares.sum()):.0%} of the variance",
            "labels": ["component 1", "component 2"],
            "origin": packed(centre),
            "axes": [packed(axis) for axis in components],
        },
        direct,
    ]


def _name(d: int, shape: tuple[int, ...]) -> str:
    """The name of a value of a latent: z3, or z3,4,5 where latents have a shape."""
    index = []
    for n in reversed(shape):
        d, place = divmod(d, n)
        index.append(str(place))
    return f"z{','.join(reversed(index))}"


def _indices(model: LatentVariableModel, given: Tensor) -> list[list[int]]:
    """The number of each condition of each example."""
    assert model.conditions is not None
    return model.conditions.places_of(given).tolist()  # type: ignore[no-any-return]
