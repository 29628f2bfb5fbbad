"""Latent spaces: the kinds of latents in a support, and the values that form one variable."""

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from genmod.distributions.codes import Codebook, InCodebook
from genmod.distributions.probing import beside, holds, inside, probes

__all__ = ["Kind", "Piece", "Space", "Unit"]

Kind = Literal["free", "interval", "bits", "sphere", "ball", "simplex", "choice", "code"]

_KINDS: dict[str, tuple[Kind, float | None, float | None]] = {
    "free": ("free", None, None),
    "ball": ("ball", None, None),
    "sphere": ("sphere", None, None),
    "positive": ("interval", 0.0, None),
    "unit": ("interval", 0.0, 1.0),
    "simplex": ("simplex", None, None),
    "bits": ("bits", None, None),
    "choice": ("choice", None, None),
}
"""Kind and bounds of latents, by the name of the probes that their support contains."""

_INSIDE = 1e-6
"""How far inside of a bound a value is put that lies outside."""


@dataclass(frozen=True)
class Piece:
    """Consecutive values of a flattened latent with a common constraint.

    Args:
        kind: free: any real numbers; interval: each between ``low`` and ``high``; bits: each 0 or 1; sphere: of norm
            one; ball: of a norm below ``high``; simplex: positive with sum one; choice: one-hot; code: vectors of a
            codebook.
        start: index of the first value.
        size: number of values.
        low: lower bound of an interval; None if there is none.
        high: upper bound of an interval, or radius of a ball; None if there is none.
        codes: number of codes.
    """

    kind: Kind
    start: int
    size: int
    low: float | None = None
    high: float | None = None
    codes: int | None = None

    @property
    def classes(self) -> bool:
        """Whether its values are one variable: a class, or the probabilities of classes."""
        return self.kind in ("simplex", "choice")

    @property
    def variables(self) -> int:
        """Number of variables."""
        return self.codes or (1 if self.classes else self.size)

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Unit:
    """One variable among the latents.

    Args:
        label: its index; ``2,0,7`` in a map of latents, ``1.0`` for the first unit of the second part of a product.
        start: index of its first value in the flattened latents.
        size: number of its values.
    """

    label: str
    start: int
    size: int = 1


@dataclass(frozen=True)
class Space:
    """The latent space of a model. The kind of its latents is found by probing the support.

    This works for the supports of plugins too; a support that contains none of the probes is taken to be free.

    Args:
        support: support of the posterior; None for all points.
        shape: shape of one latent.

    Example:
        >>> from torch.distributions import constraints
        >>> space = Space(constraints.independent(constraints.simplex, 1), (2, 3))
        >>> [(p.kind, p.start, p.size) for p in space.pieces], [unit.label for unit in space.units]
        ([('simplex', 0, 3), ('simplex', 3, 3)], ['0', '1'])
        >>> Space(constraints.independent(constraints.unit_interval, 1), (4,)).pieces
        (Piece(kind='interval', start=0, size=4, low=0.0, high=1.0, codes=None),)
    """

    support: Constraint | None
    shape: tuple[int, ...]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces of one latent, in order."""
        if parts := self._parts():
            return tuple(
                Piece(piece.kind, start + piece.start, piece.size, piece.low, piece.high)
                for start, part in parts
                for piece in part.pieces
            )
        size = math.prod(self.shape)
        if self.codebook is not None:
            return (Piece("code", 0, size, codes=math.prod(self.codebook.shape)),)
        kind, low, high = self._asked()
        group = size if kind in ("free", "interval", "bits") else self.shape[-1]
        return tuple(Piece(kind, start, group, low, high) for start in range(0, size, group))

    @property
    def codebook(self) -> Codebook | None:
        """The codebook of the latents; None if they have none."""
        return self.support.codebook if isinstance(self.support, InCodebook) else None

    @property
    def kind(self) -> Kind | Literal["mixed"]:
        """The kind of all pieces; ``mixed`` if they differ."""
        first, *others = {piece.kind for piece in self.pieces}
        return "mixed" if others else first

    @cached_property
    def units(self) -> list[Unit]:
        """The variables, in order, with their labels."""
        if parts := self._parts():
            return [
                Unit(f"{i}.{unit.label}", start + unit.start, unit.size)
                for i, (start, part) in enumerate(parts)
                for unit in part.units
            ]
        if self.codebook is not None:
            places = product(*map(range, self.codebook.shape))
            return [Unit(",".join(map(str, place)) or "0", i) for i, place in enumerate(places)]
        size = self.shape[-1] if self.pieces[0].classes else 1
        places = product(*map(range, self.shape[:-1] if self.pieces[0].classes else self.shape))
        return [Unit(",".join(map(str, place)) or "0", i * size, size) for i, place in enumerate(places)]

    def contains(self, z: Tensor) -> Tensor:
        """Which latents lie in the space, ``(N, *shape) → (N,)`` bool on the CPU."""
        return inside(self.support, z)

    def settled(self, z: Tensor) -> Tensor:
        """Flattened latents ``z (N, D)``, such as means, put on the support: normalised, clamped, or the nearest code.

        Example:
            >>> from genmod import build
            >>> build("s-vae", encoder="mlp", latent=2).space.settled(torch.tensor([[0.3, 0.4]]))
            tensor([[0.6000, 0.8000]])
        """
        if self.codebook is not None:
            return self.codebook.embed(self.codebook.codes(z.reshape(-1, *self.shape))).flatten(1).to(z)
        result = z.clone()
        for piece in self.pieces:
            part = z[:, piece.start : piece.start + piece.size]
            if piece.kind == "sphere":
                part = torch.nn.functional.normalize(part, dim=1)
            elif piece.kind == "choice":
                part = torch.nn.functional.one_hot(part.argmax(1), piece.size).to(z)
            elif piece.kind == "bits":
                part = (part > 0.5).to(z)
            elif piece.kind == "ball" and piece.high is not None:
                part = part * (0.999 * piece.high / part.norm(dim=1, keepdim=True)).clamp(max=1)
            elif piece.kind == "simplex":
                part = part.clamp(min=0)
                part = part + _INSIDE * (part.sum(1, keepdim=True) == 0)
                part = part / part.sum(1, keepdim=True)
            elif piece.kind == "interval":
                low, high = piece.low, piece.high
                part = part if low is None else part.where(part >= low, low + _INSIDE)
                part = part if high is None else part.where(part <= high, high - _INSIDE)
            result[:, piece.start : piece.start + piece.size] = part
        return result

    def by_value(self, amounts: Tensor) -> Tensor:
        """Amounts of variables ``(V,)``, repeated for each of their values ``(D,)``.

        With a codebook, every value has the mean over all codes.
        """
        if self.codebook is not None:
            return amounts.mean().expand(math.prod(self.shape))
        counts = torch.tensor([unit.size for unit in self.units], device=amounts.device)
        return amounts.repeat_interleave(counts)

    def _parts(self) -> list[tuple[int, "Space"]]:
        """Index of the first value and space of each of several kinds of latents; empty if there is one kind."""
        found, start = [], 0
        for support, shape in beside(self.support):
            found.append((start, Space(support, shape)))
            start += math.prod(shape)
        return found

    def _asked(self) -> tuple[Kind, float | None, float | None]:
        if self.support is None:
            return _KINDS["free"]
        for name, points in probes(self.shape):
            if name in _KINDS and holds(self.support, points):
                return ("ball", None, self._radius()) if name == "ball" else _KINDS[name]
        return _KINDS["free"]

    def _radius(self) -> float:
        """The radius of a ball, found by bisection."""
        assert self.support is not None
        directions = dict(probes(self.shape))["sphere"]
        low, high = 0.01, 1e4
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if holds(self.support, middle * directions) else (low, middle)
        return low
