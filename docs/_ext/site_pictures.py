"""Small pictures of components: densities, draws, examples. What has no cheap picture has none.

No component is named: what is drawn follows from its kind and from what it declares.
"""

import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from genmod.data.dataset import DataInfo
from genmod.errors import GenmodError
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided
from genmod.system.random import seeded
from genmod.testing.case import Case

__all__ = ["drawn"]

_INK, _BLUE, _RED = "#76797d", "#3b82c4", "#d9722e"
_COLOURS = (_BLUE, _RED, "#3f9d63", "#9a6bc2")
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10.0,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "svg.hashsalt": "genmod",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_DRAWS, _CODES, _STEPS = 1500, 800, 300
"""Draws, codes that samplers are fitted to, and the most steps of a fit."""
_REALS = {"low": -torch.inf, "high": torch.inf}
_DATA: tuple[dict[str, Any], ...] = (
    _REALS,
    {},
    {"low": 0.0, "high": torch.inf, "counts": True},
    {"levels": 17},
    {"levels": 2},
)
"""Data of one value for which likelihoods are drawn: the first that one accepts."""


def drawn(provided: Provided, path: Path) -> str:
    """Draw a component into an SVG file; returns what is to be seen, empty where there is no picture."""
    draw = _DRAWN.get(provided.kind)
    if draw is None or provided.missing_requirements:
        return ""
    # A picture is drawn again only where what draws it or its class has changed.
    sources = [Path(__file__).read_bytes(), Path(inspect.getfile(provided.load())).read_bytes()]
    now, note = hashlib.sha256(b"".join(sources)).hexdigest(), path.with_suffix(".json")
    if note.exists() and (kept := json.loads(note.read_text(encoding="utf-8")))["of"] == now:
        return str(kept["words"])
    words = _draw(draw, provided, path)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"of": now, "words": words}), encoding="utf-8")
    return words


def _draw(draw: Callable[[Provided, Figure], str], provided: Provided, path: Path) -> str:
    with mpl.rc_context(_STYLE), seeded(0), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        try:
            words = draw(provided, figure)
        except (GenmodError, NotImplementedError):
            return ""
        if words:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, transparent=True, metadata={"Date": None})
    return words


def _built(provided: Provided, *spreads: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The component for each wiring that it takes, as it is before training."""
    case = Case(provided.kind, "", provided, Registry(third_party=False))
    for part, wiring in case.tried(*spreads):
        if part is not None:
            yield part.eval(), wiring


def _likelihood(provided: Provided, figure: Figure) -> str:
    cls: Any = provided.load()
    if not cls.is_density:
        return ""
    for part, (info,) in _built(provided, [DataInfo((1,), **limits) for limits in _DATA]):
        axes = figure.subplots()
        for at, (shift, color) in enumerate(((-1.0, _BLUE), (1.0, _RED))):
            parameters = torch.full(part.parameter_shape, shift)
            if part.parameter_shape[0] > 1 or len(part.parameter_shape) > 1:
                parameters = shift + 0.5 * torch.randn(part.parameter_shape)
            _curve(axes, part(parameters), part.observed, color, f"$p(x|z_{at + 1})$")
        axes.set_ylim(0, min(float(axes.get_ylim()[1]), 8.0))
        axes.legend()
        axes.set_xlabel("$x$")
        what = "Probabilities" if info.levels or info.counts else "The density"
        return f"{what} of one value of {_range(info)}, for two outputs of the network."
    return ""


def _range(info: DataInfo) -> str:
    if info.counts:
        return "counts"
    if info.levels:
        return f"{info.levels} levels"
    return "real data" if info.low == -torch.inf else f"data from {info.low:g} to {info.high:g}"


def _curve(axes: Axes, p: Any, info: DataInfo, color: str, label: str) -> None:
    discrete = info.levels is not None or info.counts
    if info.levels is not None:
        x = info.values(torch.arange(info.levels))
    elif info.counts:
        x = torch.arange(25.0)
    else:
        low, high = max(info.low, -6.0), min(info.high, 6.0)
        edge = 1e-3 * (high - low)
        x = torch.linspace(low + edge, high - edge, 400)
    density = p.log_prob(x[:, None]).exp()
    if discrete:
        axes.vlines(x, 0, density, color=color, alpha=0.5)
        axes.plot(x, density, "o", color=color, markersize=3.5, label=label)
    else:
        axes.plot(x, density, color=color, label=label)
        axes.fill_between(x, density, color=color, alpha=0.15, linewidth=0)


def _cloud(axes: Axes, z: torch.Tensor, color: str) -> None:
    """Draws of two values; equal ones, as of codes, are larger where there are more."""
    places, counts = z.round(decimals=5).unique(dim=0, return_counts=True)
    if len(places) < len(z) / 4:
        axes.scatter(*places.T, s=400 * counts / counts.sum(), color=color, alpha=0.8)
    else:
        axes.scatter(*z.T, s=3, color=color, alpha=0.5, linewidths=0)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$")


def _within(axes: Axes, z: torch.Tensor) -> None:
    """Show where most draws are; a few that are far away would make all others a dot."""
    low, high = z.quantile(0.005, dim=0), z.quantile(0.995, dim=0)
    middle, half = (low + high) / 2, float((high - low).max().clamp(min=0.2)) * 0.58
    axes.set_xlim(float(middle[0]) - half, float(middle[0]) + half)
    axes.set_ylim(float(middle[1]) - half, float(middle[1]) + half)


def _on_a_line(z: torch.Tensor) -> bool:
    """Whether two probabilities are drawn, which sum to one: three say more."""
    return z.shape[1] == 2 and bool((z.sum(1) - 1).abs().max() < 1e-4)


def _pair(z: torch.Tensor) -> torch.Tensor:
    return z.reshape(len(z), -1)[:, :2].float()


def _prior(provided: Provided, figure: Figure) -> str:
    for part, _ in _built(provided, [(2,), (3,), (2, 3)]):
        if not part.has_density:
            return ""
        z = part().sample((_DRAWS,)).reshape(_DRAWS, -1)
        if _on_a_line(z):
            continue
        axes = figure.subplots()
        _cloud(axes, _pair(z), _BLUE)
        _within(axes, _pair(z))
        return f"{_DRAWS:,} draws with the weights as they start: {_latents(part.latent_shape)}."
    return ""


def _latents(shape: tuple[int, ...]) -> str:
    sizes = "×".join(map(str, shape))
    return "two latents" if shape == (2,) else f"the first two numbers of latents {sizes}"


def _posterior(provided: Provided, figure: Figure) -> str:
    for part, _ in _built(provided, [(7,)], [(2,), (3,), (2, 3)]):
        features = 0.7 * torch.randn(4, 7)
        with torch.enable_grad():
            z = part(features).rsample((_DRAWS // 4,)).detach().flatten(2)
        if _on_a_line(z.flatten(0, 1)):
            continue
        axes = figure.subplots()
        for at, color in enumerate(_COLOURS):
            _cloud(axes, _pair(z[:, at]), color)
        _within(axes, _pair(z.flatten(0, 1)))
        axes.legend(
            [Line2D([], [], color=color, marker="o", linestyle="", markersize=5) for color in _COLOURS],
            [f"$x_{at + 1}$" for at in range(4)],
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
        return f"Draws of q(z|x) for four examples, with the weights as they start: {_latents(part.latent_shape)}."
    return ""


def _divergence(provided: Provided, figure: Figure) -> str:
    cls: Any = provided.load()
    if cls.batch_statistics != "none":
        return ""
    p = _normals(torch.zeros(1, 1), torch.ones(1, 1))
    part = cls()
    axes = figure.subplots()
    means = torch.linspace(-3, 3, 61)
    for scale, color in ((1.0, _BLUE), (0.5, _RED)):
        q = _normals(means[:, None], torch.full((61, 1), scale))
        values = part(q, p.expand([61]), q.sample((2000,)))
        axes.plot(means, values, color=color, label=f"$q = N(m, {scale:g}^2)$")
    if float(values.abs().max()) == 0:
        return ""
    axes.legend()
    axes.set_xlabel("$m$")
    axes.set_ylabel("nats")
    return "Its value between q, a normal of mean m, and p, the standard normal of one latent."


def _normals(loc: torch.Tensor, scale: torch.Tensor) -> Any:
    from genmod import diagonal_normal

    return diagonal_normal(loc, scale.log(), 1)


def _sampler(provided: Provided, figure: Figure) -> str:
    angle, upper = torch.rand(_CODES) * torch.pi, torch.arange(_CODES) % 2 == 0
    x, y = angle.cos() + torch.where(upper, -0.5, 0.5), torch.where(upper, angle.sin(), -angle.sin())
    codes = torch.stack([x, y], 1) + 0.1 * torch.randn(_CODES, 2)
    cls: Any = provided.load()
    if cls.bind is not _base("sampler").bind:
        return ""
    part = cls((2,))
    try:
        with torch.enable_grad():
            part.fit(codes, on_step=_not_long)
    except _TakesLongError:
        return ""
    left, right = figure.subplots(1, 2)
    _cloud(left, codes, _INK)
    left.set_title("codes", fontsize=10)
    _cloud(right, _pair(part().sample((_CODES,))), _BLUE)
    right.set_title("draws of what was fitted", fontsize=10)
    return "Codes in two half moons, and draws of the sampler that was fitted to them."


class _TakesLongError(Exception):
    """It is fitted by many steps."""


def _not_long(done: int, steps: int) -> None:
    if steps > _STEPS:
        raise _TakesLongError


@contextmanager
def _offline() -> Iterator[None]:
    """Nothing is downloaded for a picture."""
    before = os.environ.get("GENMOD_OFFLINE")
    os.environ["GENMOD_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GENMOD_OFFLINE"]
        else:
            os.environ["GENMOD_OFFLINE"] = before


def _base(kind: str) -> Any:
    from genmod.registry.component import KINDS
    from genmod.registry.provided import import_target

    return import_target(KINDS[kind])


def _dataset(provided: Provided, figure: Figure) -> str:
    from genmod.options.schema import REQUIRED, options_of, validate

    cls: Any = provided.load()
    if any(option.default is REQUIRED for option in options_of(cls)):
        return ""
    data = cls(Path("no-folder-of-data"), **validate(cls, {}, "dataset"))
    if not data.info.is_image:
        return ""
    with _offline():
        split = data.split("train")
        stored = split.__getitems__([at * len(split) // 16 for at in range(16)]).x
    x = data.info.values(stored)
    for axes, picture in zip(figure.subplots(2, 8).flat, x, strict=True):
        axes.imshow(picture.movedim(0, -1).squeeze(-1).clip(0, 1), cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
    return "Some of the training examples."


_DRAWN: dict[str, Callable[[Provided, Figure], str]] = {
    "decoder": _likelihood,
    "prior": _prior,
    "posterior": _posterior,
    "divergence": _divergence,
    "sampler": _sampler,
    "dataset": _dataset,
}
