"""What the page knows of the examples: small pictures of them, columns of tables, and how shapes lie in pictures."""

import base64
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from genmod.data.column import Column
from genmod.data.dataset import DataInfo

__all__ = ["cells", "pictures", "shapes"]

_SIDE = 32
"""Longest side of a small picture, in pixels."""
_NUMBERS = 1_500_000
"""Of all small pictures together."""
_LEVELS = 254
_MISSING = 255
_LARGEST = 400
"""Columns of a table that the page shows."""
_AWAY = 0.1
"""How far from the ground, in parts of the range, a pixel of a shape is at least."""
_FAINT = 0.2
"""Of the strongest pixel of a shape, what counts towards its extent."""


def pictures(values: Tensor, data: DataInfo, low: float, high: float) -> dict[str, Any]:
    """Examples ``(N, *shape)`` small enough for a page: pictures in 254 levels, rows of tables as they are.

    Returns:
        ``count``, of the first examples; ``shape`` of each; ``numbers``, base64 of bytes for pictures, 255 where a value is
        missing, of single precision for tables; ``bytes``, which of both.
    """
    table = len(data.shape) == 1
    x = values.float().cpu()
    if not table:
        x = x.flatten(1, -3) if x.dim() > 3 else x[:, None]
        height, width = x.shape[-2:]
        if max(height, width) > _SIDE:
            factor = _SIDE / max(height, width)
            x = adaptive_avg_pool2d(x, (max(1, round(height * factor)), max(1, round(width * factor))))
    count = min(len(x), max(1, _NUMBERS // x[0].numel()))
    x = x[:count]
    if table:
        content = x.numpy().astype("<f4").tobytes()
    else:
        levels = ((x - low) / (high - low)).clamp(0, 1).mul(_LEVELS).round()
        content = levels.nan_to_num(float(_MISSING)).to(torch.uint8).numpy().tobytes()
    return {
        "count": count,
        "shape": list(x.shape[1:]),
        "bytes": not table,
        "numbers": base64.b64encode(content).decode(),
    }


def cells(values: Tensor | None, data: DataInfo) -> list[dict[str, Any]] | None:
    """Name, range and units of each column of a table; None of other data.

    The range is that of 98 % of the values of the column, of categories the whole. ``values`` are the names of categories.
    What is shown of a value ``x`` is ``shift + scale x``, and of ``log`` columns ``exp(shift + scale x) - offset``.
    """
    if len(data.shape) != 1:
        return None
    count = min(data.shape[0], _LARGEST)
    known: list[Column | None] = [*data.modelled] or [None] * data.shape[0]
    found = []
    for place in range(count):
        column = known[place]
        coded = column is not None and column.coded
        low, high = _range(None if values is None else values[:, place])
        if coded:
            assert column is not None
            low, high = 0.0, float(len(column.values) - 1)
        name = column.name if column is not None else data.variables[place] if data.variables else f"x{place}"
        found.append(
            {
                "name": name,
                "low": low,
                "high": high,
                "values": [str(value) for value in column.values[:1000]] if coded and column else [],
                "shift": float(data.shift[place]) if data.shift and not coded else 0.0,
                "scale": float(data.scale[place]) if data.scale and not coded else 1.0,
                "log": column is not None and column.kind == "positive",
                "offset": column.offset if column is not None else 0.0,
                "date": _unit_of_time(column),
                "decimals": _digits(column),
            }
        )
    return found


def shapes(values: Tensor | None, data: DataInfo, low: float, high: float) -> dict[str, Any] | None:
    """How shapes lie on the plain ground of pictures, so that a drawing can be given the same size, place and strength.

    Returns:
        None where examples have no plain ground. ``ground`` and ``pen``: colours in parts of the range, of each channel.
        ``fill``: width and height of large shapes, in parts of those of the picture. ``by``: whether the centre of mass or of
        the box around the shape is where it always is, ``centre``. ``stroke``: width of a line, in parts of the longer side.
        ``peak``: strength of the strongest pixel; ``ink``: mean strength in the box around the shape.
    """
    if values is None or not data.is_image or data.shape[0] not in (1, 3) or min(data.shape[1:]) < 4:
        return None
    x = ((values[:500].float().cpu() - low) / (high - low)).clamp(0, 1)
    if not bool(x.isfinite().all()):
        return None
    rim = torch.cat([x[:, :, [0, -1]].flatten(2), x[:, :, :, [0, -1]].flatten(2)], 2)
    ground = rim.transpose(0, 1).flatten(1).median(1).values
    away = (x - ground[:, None, None]).abs().amax(1)
    around = (rim - ground[:, None]).abs().amax(1)
    if float((away < _AWAY).float().mean()) < 0.3 or float((around < _AWAY).float().mean()) < 0.6:
        return None
    ink = torch.where(away < _AWAY, 0.0, away)
    peak = ink.flatten(1).amax(1)
    whole = peak > 2 * _AWAY
    if not bool(whole.any()):
        return None
    ink, peak, x = ink[whole], peak[whole], x[whole]
    height, width = ink.shape[1:]
    seen = ink > _FAINT * peak[:, None, None]
    box = [_extent(seen.any(2)), _extent(seen.any(1))]
    sides = torch.stack([last - first + 1 for first, last in box], 1).float()
    reach = (sides / torch.tensor([height, width])).quantile(0.9, 0)
    mass = ink.sum((1, 2))
    middle_of_mass = torch.stack(
        [
            (ink.sum(2) * (torch.arange(height) + 0.5)).sum(1) / mass / height,
            (ink.sum(1) * (torch.arange(width) + 0.5)).sum(1) / mass / width,
        ],
        1,
    )
    middle_of_box = torch.stack(
        [(a + b + 1) / 2 / n for (a, b), n in zip(box, (height, width), strict=True)], 1
    )
    steady = float(middle_of_mass.var(0).sum()) < float(middle_of_box.var(0).sum())
    middle = middle_of_mass if steady else middle_of_box
    # A line of length l and width t has the area l t, and its edges, which both cross every row or column, 2 l.
    edges = torch.nn.functional.pad(ink / peak[:, None, None], (1, 1, 1, 1))
    around_it = edges.diff(dim=1).abs().sum((1, 2)) + edges.diff(dim=2).abs().sum((1, 2))
    # Of a slanted edge, both directions count.
    width_of_line = 2 * (mass / peak) / (around_it * math.pi / 4) / sides.amax(1)
    strong = ink > 0.5 * peak[:, None, None]
    pen = (x * strong[:, None]).sum((0, 2, 3)) / strong.sum()
    return {
        "ground": ground.tolist(),
        "pen": pen.tolist(),
        "fill": reach.flip(0).tolist(),
        "by": "mass" if steady else "box",
        "centre": middle.mean(0).flip(0).tolist(),
        "stroke": float(width_of_line.median().clamp(0.04, 0.5)),
        "peak": float(peak.median()),
        "ink": float((mass / sides.prod(1)).median()),
    }


def _extent(lines: Tensor) -> tuple[Tensor, Tensor]:
    """First and last place that is true, ``(N, n) → (N,), (N,)``."""
    return lines.int().argmax(1), lines.shape[1] - 1 - lines.flip(1).int().argmax(1)


def _range(column: Tensor | None) -> tuple[float, float]:
    """Of 98 % of the finite values."""
    finite = torch.zeros(0) if column is None else column[column.isfinite()].double()
    if not len(finite):
        return -3.0, 3.0
    low, high = finite.quantile(torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
    if not low < high:
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 1, low + 1)


def _unit_of_time(column: Column | None) -> str:
    """``days`` or ``seconds`` since 1970 for columns of points in time; else nothing."""
    if column is None or column.kind != "date":
        return ""
    return "days" if column.dtype == "Date" else "seconds" if column.dtype.startswith("Datetime") else ""


def _digits(column: Column | None) -> int | None:
    """Decimals of values that are multiples of a step; None of others."""
    if column is None or not column.step:
        return None
    return max(0, round(-math.log10(column.step))) if column.step < 1 else 0
