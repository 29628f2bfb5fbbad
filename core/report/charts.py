"""Where the lines and bars of a drawing are; the template writes them as SVG in the colours of the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genmod.figures.curves import Curve

__all__ = ["Bars", "Chart", "Line", "bars", "chart", "nice_ticks"]

WIDTH, HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 34
_MOST_POINTS = 400
_MOST_BARS = 128


@dataclass(frozen=True)
class Line:
    """A curve: ``points`` of an SVG polyline, the number of its colour, whether it is broken, and what it is."""

    points: str
    colour: int
    broken: bool
    label: str


@dataclass(frozen=True)
class Chart:
    """A drawing of curves.

    Args:
        metric: what is drawn.
        alt: what is to be seen, in words.
        lines: the curves.
        x: places and texts on the lower axis.
        y: places and texts on the left axis.
        cut: whether curves go on above or below.
    """

    metric: str
    alt: str
    lines: tuple[Line, ...]
    x: tuple[tuple[float, str], ...]
    y: tuple[tuple[float, str], ...]
    cut: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def chart(found: Sequence[Curve], runs: Sequence[str]) -> Chart:
    """Curves of one metric, each run in a colour of its own, one run alone with a colour for each split.

    Args:
        found: all of one metric.
        runs: names of all runs of the page, in order.
    """
    steps = [step for curve in found for step in curve.steps]
    low, high, cut = _range([value for curve in found for value in curve.values])
    first, last = min(0, *steps), max(1, *steps)

    def across(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    lines = []
    for curve in found:
        place = int(curve.split == "validation") if len(runs) == 1 else runs.index(curve.run)
        every = math.ceil(len(curve.steps) / _MOST_POINTS)
        kept = list(zip(curve.steps, curve.values, strict=True))[:: -every or 1][::-1]
        points = " ".join(f"{across(s):.1f},{min(max(up(v), -1e4), 1e4):.1f}" for s, v in kept)
        broken = curve.split == "train" and len(runs) > 1
        label = curve.label if len(runs) == 1 else f"{curve.run}, {curve.label}"
        lines.append(Line(points, place % 8, broken, label))
    ends = "; ".join(f"{line.label} ends at {c.values[-1]:.4g}" for line, c in zip(lines, found, strict=True))
    metric = found[0].metric
    return Chart(
        metric,
        f"{metric} over {last:,} steps: {ends}",
        tuple(lines),
        tuple((across(tick), _number(tick)) for tick in nice_ticks(first, last, 6)),
        tuple((up(tick), _number(tick)) for tick in nice_ticks(low, high, 6)),
        cut,
    )


@dataclass(frozen=True)
class Bars:
    """A drawing of one number for each latent dimension.

    Args:
        unit: what the numbers are.
        alt: what is to be seen, in words.
        places: left edge, top, height and text of each bar.
        width: of a bar.
        y: places and texts on the left axis.
        note: what else there is to say.
    """

    unit: str
    alt: str
    places: tuple[tuple[float, float, float, str], ...]
    bar: float
    y: tuple[tuple[float, str], ...]
    note: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def bars(amounts: Sequence[float], unit: str, active: float | None) -> Bars:
    """What each dimension of the latents says, the largest first.

    Args:
        amounts: of each dimension, in their order.
        unit: what they are.
        active: dimensions above this count as active; None to count none.
    """
    order = sorted(range(len(amounts)), key=lambda d: -amounts[d])[:_MOST_BARS]
    highest = max([amounts[d] for d in order] + [1e-9])
    pitch = (WIDTH - _LEFT - _RIGHT) / len(order)
    tall = HEIGHT - _TOP - _BOTTOM
    places = []
    for rank, d in enumerate(order):
        height = max(0.0, amounts[d]) / highest * tall
        places.append(
            (_LEFT + (rank + 0.1) * pitch, HEIGHT - _BOTTOM - height, height, f"z{d}: {amounts[d]:.3g}")
        )
    count = (
        ""
        if active is None
        else f"{sum(a > active for a in amounts)} of {len(amounts)} are above {active:g}. "
    )
    left_out = f"The largest {len(order)} of {len(amounts)} are drawn. " if len(order) < len(amounts) else ""
    first = ", ".join(f"z{d} {amounts[d]:.3g}" for d in order[:5])
    ticks = tuple((HEIGHT - _BOTTOM - t / highest * tall, _number(t)) for t in nice_ticks(0, highest, 6))
    alt = f"{unit} of {len(order)} latent dimensions; the largest: {first}"
    return Bars(unit, alt, tuple(places), 0.8 * pitch, ticks, (count + left_out).strip())


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many.

    Example:
        >>> nice_ticks(0, 130, 5), nice_ticks(29.3, 30.1, 4)
        ([0.0, 50.0, 100.0], [29.4, 29.6, 29.8, 30.0])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step)) + 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, places) for n in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float, bool]:
    """Lowest and highest value to show, and whether some lie outside: the first steps of a run dwarf the rest."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    inner_low, inner_high = ordered[len(ordered) // 50], ordered[-1 - len(ordered) // 50]
    middle = (inner_high - inner_low) or abs(inner_high) or 1.0
    low = inner_low if inner_low - low > middle else low
    high = inner_high if high - inner_high > middle else high
    cut = low > ordered[0] or high < ordered[-1]
    pad = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad, cut


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
