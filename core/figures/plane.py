"""Latents on a plane: unchanged if they have two numbers, else by a projection."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genmod.errors import UndefinedError, UsageError

__all__ = ["Plane", "Projection", "hammer", "on_plane", "principal_axes"]

Projection = Literal["auto", "pca", "tsne"]

_MOST_FOR_TSNE = 1000
_FEWEST_FOR_TSNE = 50
_ENOUGH = 0.5
"""Share of the variance that two components must have to be called a map of the codes."""


@dataclass(frozen=True)
class Plane:
    """Several sets of latents on one plane.

    Args:
        points: of each set, ``(N, 2)``.
        method: name of the projection, for a title; empty for the latents themselves.
        axes: names of the two axes; empty where they have no meaning.
        direct: whether the two numbers are the latents themselves.
        flat: of a projection on two directions, the point in its middle ``(D,)`` and the directions ``(2, D)``.
    """

    points: tuple[Tensor, ...]
    method: str
    axes: tuple[str, str]
    direct: bool
    flat: tuple[Tensor, Tensor] | None = None

    def lifted(self, points: Tensor) -> Tensor | None:
        """Latents that lie at points of the plane, ``(N, 2) → (N, D)``; None of a map that has no way back."""
        if self.direct:
            return points
        if self.flat is None:
            return None
        middle, axes = (part.to(points) for part in self.flat)
        return middle + points @ axes


def on_plane(sets: Sequence[Tensor], *, space: str, projection: Projection = "auto", seed: int = 0) -> Plane:
    """Put sets of latents, ``(N, *latent_shape)`` each, on one plane; the first set fixes the projection.

    One number is drawn at a random height; two are the plane; three on a sphere are drawn on Hammer's map of equal
    areas. More are projected on the two principal components of the first set, where these have half of its variance or
    more; else by t-SNE, of the first 1,000 points of the first set. There no line is straight and no distance is one, so of
    the other sets nothing is on that map.

    Raises:
        UsageError: an unknown projection.
        UndefinedError: codes are infinite or not a number, or fewer than two.

    Reference:
        Visualizing Data using t-SNE (van der Maaten and Hinton, 2008)

    Example:
        >>> on_plane([torch.eye(4)[:, :3]], space="free").method
        'two principal components, 89 % of the variance'
    """
    if projection not in ("auto", "pca", "tsne"):
        raise UsageError(f"no such projection: {projection!r}", hint="one of: auto, pca, tsne")
    flats = [z.detach().flatten(1).double().cpu() for z in sets]
    first = flats[0]
    if len(first) < 2 or not all(flat.isfinite().all() for flat in flats):
        raise UndefinedError("codes of this model are infinite, not a number, or fewer than two")
    size = first.shape[1]
    if projection == "auto" and size == 1:
        generator = torch.Generator().manual_seed(seed)
        jitter = [torch.rand(len(flat), 1, generator=generator, dtype=torch.float64) for flat in flats]
        return _plane(
            [torch.cat(pair, 1) for pair in zip(flats, jitter, strict=True)], "height at random", ("z0", "")
        )
    if projection == "auto" and size == 2:
        return _plane(flats, "", ("z0", "z1"), direct=True)
    if projection == "auto" and size == 3 and space == "sphere":
        return _plane(
            [hammer(flat) for flat in flats], "the whole sphere, on Hammer's map of equal areas", ("", "")
        )
    axes, shares = principal_axes(first)
    share = f"{100 * float(shares.sum()):.0f} % of the variance"
    if projection == "tsne" or (projection == "auto" and _says_little(len(first), shares)):
        method = f"t-SNE of the first {_MOST_FOR_TSNE:,}" if len(first) > _MOST_FOR_TSNE else "t-SNE"
        method += f", since two principal components have {share}" if projection == "auto" else ""
        nothing = [flat.new_zeros(0, 2) for flat in flats[1:]]
        return _plane([_tsne(first[:_MOST_FOR_TSNE], seed), *nothing], method, ("", ""))
    return _plane(
        [(flat - first.mean(0)) @ axes.T for flat in flats],
        f"two principal components, {share}",
        ("first component", "second component"),
        flat=(first.mean(0), axes),
    )


def _says_little(count: int, shares: Tensor) -> bool:
    """Whether two components of many codes, with these shares of the variance, are no map of them."""
    return count >= _FEWEST_FOR_TSNE and float(shares.sum()) < _ENOUGH


def principal_axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """The two directions in which points vary most, and their shares of the variance.

    ``(N, D) → (2, D), (2,)`` double; zero where there is no such direction.

    Example:
        >>> principal_axes(torch.tensor([[0.0, 3.0], [0.0, -3.0], [1.0, 0.0], [-1.0, 0.0]]))
        (tensor([[0., 1.],
                [1., 0.]], dtype=torch.float64), tensor([0.9000, 0.1000], dtype=torch.float64))
    """
    centred = points.double() - points.double().mean(0)
    _, spread, directions = torch.linalg.svd(centred, full_matrices=False)
    axes, shares = centred.new_zeros(2, points.shape[1]), centred.new_zeros(2)
    squares = spread.square()
    for place, direction in enumerate(directions[:2]):
        # A sign that does not depend on the linear-algebra library.
        axes[place] = direction * direction[direction.abs().argmax()].sign()
        shares[place] = squares[place] / squares.sum().clamp(min=1e-300)
    return axes, shares


def hammer(directions: Tensor) -> Tensor:
    """Unit vectors ``(N, 3)`` on a flat map ``(N, 2)`` of equal areas, an ellipse ``2√2`` by ``√2`` around 0.

    ``x = 2√2 cos φ sin(λ/2) / r, y = √2 sin φ / r, r = √(1 + cos φ cos(λ/2))``, ``φ = asin z₂`` the latitude and
    ``λ = atan2(z₁, z₀)`` the longitude.

    Example:
        >>> hammer(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
        tensor([[0.0000, 0.0000],
                [0.0000, 1.4142]])
    """
    height = directions[:, 2].clamp(-1, 1)
    latitude, half = height.asin(), torch.atan2(directions[:, 1], directions[:, 0]) / 2
    across = (1 - height.square()).clamp(min=0).sqrt()
    r = (1 + across * half.cos()).sqrt()
    x = 2 * math.sqrt(2) * across * half.sin() / r
    return torch.stack([x, math.sqrt(2) * latitude.sin() / r], 1)


def _plane(
    points: Sequence[Tensor],
    method: str,
    axes: tuple[str, str],
    *,
    direct: bool = False,
    flat: tuple[Tensor, Tensor] | None = None,
) -> Plane:
    return Plane(tuple(each.float() for each in points), method, axes, direct, flat)


def _tsne(points: Tensor, seed: int) -> Tensor:
    from sklearn.manifold import TSNE

    made = TSNE(perplexity=min(30.0, (len(points) - 1) / 3), init="pca", random_state=seed % 2**32, n_jobs=1)
    return torch.from_numpy(made.fit_transform(points.numpy()))
