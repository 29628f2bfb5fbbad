"""What a latent is made of: which of its values are free, and which belong together in one support."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

__all__ = ["Piece", "by_value", "pieces", "settled"]

Kind = Literal["free", "interval", "bits", "sphere", "ball", "simplex", "choice"]


@dataclass(frozen=True)
class Piece:
    """Neighbouring values of a flattened latent that lie in a support together.

    Args:
        kind: free: any numbers; interval: each between ``low`` and ``high``; bits: each 0 or 1; sphere: of length
            one; ball: shorter than ``high``; simplex: positive with a sum of one; choice: one of them 1, the others 0.
        start: the first of the values.
        size: how many they are.
        low: of an interval.
        high: of an interval; the radius of a ball. None where there is no bound.
    """

    kind: Kind
    start: int
    size: int
    low: float | None = None
    high: float | None = None

    @property
    def variables(self) -> int:
        """How many of its values can be moved by themselves; classes and probabilities only together."""
        return 1 if self.kind in ("simplex", "choice") else self.size

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def pieces(support: Constraint | None, shape: tuple[int, ...], start: int = 0) -> tuple[Piece, ...]:
    """The pieces of latents of a shape, found out by asking the support what it contains.

    Any support of any plugin can be asked; one that contains none of what is tried is taken to be free.

    Args:
        support: of the posterior; None where a point can lie anywhere.
        shape: of one latent.
        start: where its values begin.

    Example:
        >>> from torch.distributions import constraints
        >>> [(p.kind, p.start, p.size) for p in pieces(constraints.independent(constraints.simplex, 1), (2, 3))]
        [('simplex', 0, 3), ('simplex', 3, 3)]
        >>> pieces(constraints.independent(constraints.unit_interval, 1), (4,))
        (Piece(kind='interval', start=0, size=4, low=0.0, high=1.0),)
    """
    size = math.prod(shape)
    # Kinds of latents side by side, as the product posterior has them.
    beside = getattr(support, "supports", None)
    if beside is not None:
        found: list[Piece] = []
        for part, its_shape in zip(beside, support.shapes, strict=True):  # type: ignore[union-attr]
            found += pieces(part, tuple(its_shape), start)
            start += math.prod(its_shape)
        return tuple(found)
    kind, low, high = ("free", None, None) if support is None else _kind(support, shape)
    if kind in ("free", "interval", "bits"):
        return (Piece(kind, start, size, low, high),)
    group = shape[-1]
    return tuple(Piece(kind, at, group, low, high) for at in range(start, start + size, group))


def settled(z: Tensor, parts: Sequence[Piece]) -> Tensor:
    """Latents ``z (N, D)`` put where draws lie: means of directions are shorter than one, those of classes are mixed.

    Example:
        >>> settled(torch.tensor([[0.3, 0.4]]), [Piece("sphere", 0, 2)])
        tensor([[0.6000, 0.8000]])
    """
    result = z.clone()
    for piece in parts:
        part = z[:, piece.start : piece.start + piece.size]
        if piece.kind == "sphere":
            part = torch.nn.functional.normalize(part, dim=1)
        elif piece.kind == "choice":
            part = torch.nn.functional.one_hot(part.argmax(1), piece.size).to(z)
        elif piece.kind == "bits":
            part = (part > 0.5).to(z)
        result[:, piece.start : piece.start + piece.size] = part
    return result


def by_value(amounts: Tensor, parts: Sequence[Piece]) -> Tensor:
    """An amount of each variable ``(V,)`` for each of its values ``(D,)``: those of a class all have that of the class.

    Example:
        >>> by_value(torch.tensor([1.0, 2.0, 3.0]), [Piece("free", 0, 2), Piece("choice", 2, 3)])
        tensor([1., 2., 3., 3., 3.])
    """
    counts = [p.size // p.variables for p in parts for _ in range(p.variables)]
    return amounts.repeat_interleave(torch.tensor(counts, device=amounts.device))


def _kind(support: Constraint, shape: tuple[int, ...]) -> tuple[Kind, float | None, float | None]:
    def contains(points: Tensor) -> bool:
        try:
            return bool(support.check(points).all())
        except (RuntimeError, ValueError):
            return False

    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(50, *shape, generator=generator, dtype=torch.float64)
    directions = normal / normal.norm(dim=-1, keepdim=True)
    positive = normal.abs() + 0.01
    chosen = torch.nn.functional.one_hot(normal.argmax(-1), shape[-1]).to(normal)
    if contains(30 * normal):
        return "free", None, None
    if contains(directions):
        inside = contains(0.01 * directions)
        return ("ball", None, _reach(contains, directions)) if inside else ("sphere", None, None)
    if contains(0.01 * directions):
        return "ball", None, _reach(contains, directions)
    if contains(30 * positive):
        return "interval", 0.0, None
    if contains(normal.sigmoid()):
        return "interval", 0.0, 1.0
    if contains(normal.softmax(-1)):
        return "simplex", None, None
    if contains((normal > 0).double()):
        return "bits", None, None
    return ("choice", None, None) if contains(chosen) else ("free", None, None)


def _reach(contains: Any, directions: Tensor) -> float:
    """How far one can go from the origin in every direction."""
    low, high = 0.01, 1e4
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if contains(middle * directions) else (low, middle)
    return low
