"""What latents are made of: single numbers, or vectors that are one variable, such as the probabilities of classes."""

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints
from torch.distributions.constraints import Constraint

from genmod import Subject, UndefinedError
from genmod.interfaces.divergence import known_kl
from genmod.plugins.posteriors._side_by_side import Beside, Product
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot

__all__ = ["Rates", "Unit", "rates_by_unit", "units"]

_VECTORS = (type(constraints.simplex), type(constraints.one_hot))
_CLASSES = (OneHot, RelaxedOneHot)


@dataclass(frozen=True)
class Unit:
    """One variable among the latents.

    Args:
        label: its index; ``2,0,7`` in a map of latents, ``1.0`` for the first unit of the second part of a product.
        start: where it begins in the flattened latents.
        size: of how many numbers it is made.
    """

    label: str
    start: int
    size: int = 1


def units(support: Constraint | None, shape: tuple[int, ...]) -> list[Unit]:
    """The units of latents of some support and shape, in order.

    Example:
        >>> [unit.label for unit in units(constraints.real_vector, (3,))]
        ['0', '1', '2']
        >>> [(unit.label, unit.size) for unit in units(constraints.independent(constraints.simplex, 1), (2, 5))]
        [('0', 5), ('1', 5)]
    """
    if isinstance(support, Beside):
        found, start = [], 0
        for i, (part, part_shape) in enumerate(zip(support.supports, support.shapes, strict=True)):
            inner = units(part, part_shape)
            found += [Unit(f"{i}.{unit.label}", start + unit.start, unit.size) for unit in inner]
            start += math.prod(part_shape)
        return found
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    size = shape[-1] if isinstance(base, _VECTORS) else 1
    outer = shape[:-1] if isinstance(base, _VECTORS) else shape
    places = product(*map(range, outer))
    return [Unit(",".join(map(str, place)) or "0", i * size, size) for i, place in enumerate(places)]


@dataclass(frozen=True)
class Rates:
    """KLs of the units of latents.

    Args:
        labels: of the units.
        values: of each example and unit, ``(N, units)`` float64, nats.
        reason: why not every unit has one of its own, or nothing where each has.
    """

    labels: list[str]
    values: Tensor
    reason: str


def rates_by_unit(subject: Subject, stream: str, samples: int) -> Rates:
    """The KL of the posterior from the prior, unit by unit; exact where a closed form is known, else estimated.

    Args:
        subject: what is measured.
        stream: of random numbers.
        samples: draws for the estimates.

    Raises:
        UndefinedError: posterior or prior have no density.
    """
    model = subject.model
    for kind, part in (("posterior", model.posterior), ("prior", model.prior)):
        if not part.has_density:
            raise UndefinedError(f"its {kind} {model.spec.components[kind].name!r} has no density")
    labels: list[str] = []
    pieces, reason = [], ""
    for told, x, _ in subject.batches(stream):
        with torch.no_grad():
            q, p = told.encode(x), told.prior()
            labels, found, reason = _split(q, p, q.sample((samples,)))
        pieces.append(found.cpu().double())
    return Rates(labels, torch.cat(pieces), reason)


def _split(q: Distribution, p: Distribution, z: Tensor) -> tuple[list[str], Tensor, str]:
    """Labels, KLs ``(B, units)``, and why latents do not fall apart; ``z (K, B, *event_shape)``."""
    if isinstance(q, Product) and isinstance(p, Product) and q.shapes == p.shapes:
        labels, found, reasons = [], [], []
        pieces = z.split([math.prod(shape) for shape in q.shapes], -1)
        for i, (a, b, piece) in enumerate(zip(q.parts, p.parts, pieces, strict=True)):
            names, values, reason = _split(a, b, piece.reshape(*z.shape[:2], *a.event_shape))
            labels += [f"{i}.{name}" for name in names]
            found.append(values)
            reasons.append(reason)
        return labels, torch.cat(found, 1), next(filter(None, reasons), "")
    shape = tuple(q.event_shape)
    if isinstance(q, Independent) and isinstance(p, Independent) and not q.base_dist.event_shape:
        values = known_kl(q.base_dist, p.base_dist, z).expand(z.shape[1:]).flatten(1)
    elif isinstance(q, _CLASSES) and type(q) is type(p):
        each = [type(part)(part.logits, part.temperature, 1) for part in (q, p)]
        values = known_kl(each[0], each[1], z).reshape(z.shape[1], -1)
        return [unit.label for unit in units(q.support, shape)], values, ""
    else:
        dependent = p if isinstance(q, (Independent, *_CLASSES)) else q
        reason = (
            f"latents of a {type(dependent).__name__} depend on each other, so that their rates do not add up"
        )
        return ["all"], known_kl(q, p, z)[:, None], reason
    return [unit.label for unit in units(None, shape)], values, ""
