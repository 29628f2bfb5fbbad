"""Decomposition of KL divergences into parts of several kinds, and into single variables.

:func:`torch.distributions.kl.register_kl` registers the KL of two types of distributions; the functions here register how
a pair of such types decomposes. Authors of a distribution register this beside it. Free bits of each latent, capacities
of each part and the metric ``rates`` then work with it.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence

from genmod.defaults import NORMAL_LATENTS
from genmod.errors import UndefinedError

__all__ = [
    "by_part",
    "by_variable",
    "known_kl",
    "name_of",
    "own_reason",
    "parts_of",
    "register_kl_by_part",
    "register_kl_by_variable",
    "variables_of",
]

Pair = tuple[Distribution, Distribution]
Part = tuple[Distribution, Distribution, Tensor]
Measure = Callable[[Distribution, Distribution, Tensor], Tensor]
"""``(q, p, z) → (*batch_shape of q)``, with draws ``z`` from ``q``."""

_F = TypeVar("_F", bound=Callable[..., Any])
_Types = tuple[type[Distribution], type[Distribution]]

_VARIABLES: dict[_Types, Callable[[Any, Any], Pair]] = {}
_PARTS: dict[_Types, Callable[[Any, Any, Tensor], list[Part]]] = {}


def register_kl_by_variable(type_q: type[Distribution], type_p: type[Distribution]) -> Callable[[_F], _F]:
    """Register how a pair of distributions with independent variables decomposes into single variables.

    The decorated function is given ``q`` and ``p`` and returns two distributions of a single variable each, with the
    variables in their batch shapes, ``(B, *variables)`` and ``(*variables)``. Their KL may have a closed form (see
    ``register_kl``) or not. If several registered pairs match, the nearest ancestors are used, of ``q`` first.

    Example:
        >>> class Mine(Independent):
        ...     pass
        >>> @register_kl_by_variable(Mine, Independent)
        ... def _(q, p):
        ...     return q.base_dist, p.base_dist
        >>> q, p = (cls(torch.distributions.Laplace(torch.zeros(3, 2), 1.0), 1) for cls in (Mine, Independent))
        >>> variables_of(q, p)[0].batch_shape
        torch.Size([3, 2])
    """
    return _registering(_VARIABLES, (type_q, type_p))


def register_kl_by_part(type_q: type[Distribution], type_p: type[Distribution]) -> Callable[[_F], _F]:
    """Register how a pair of distributions over latents of several kinds decomposes into parts.

    The decorated function is given ``q``, ``p`` and draws ``z (K, B, *event_shape)`` from ``q``, and returns these three
    for each part, as a list. If a part depends on those before it, its distributions are conditioned on their draws: they
    have ``batch_shape (K, B)``, its draws are ``(1, K, B, *event_shape)``, and its divergence is averaged over K.
    """
    return _registering(_PARTS, (type_q, type_p))


def variables_of(q: Distribution, p: Distribution) -> Pair:
    """The two distributions of single variables, with the variables in their batch shapes.

    Raises:
        UndefinedError: the latents are not known to be independent of each other.

    Example:
        >>> q = Independent(torch.distributions.Laplace(torch.zeros(3, 2), 1.0), 1)
        >>> variables_of(q, q)[0].batch_shape
        torch.Size([3, 2])
    """
    found = _registered(_VARIABLES, q, p)
    if found is None:
        types = f"{type(q).__name__}, {type(p).__name__}"
        raise UndefinedError(
            f"the latents of {name_of(q)} and {name_of(p)} are not known to be independent of each other, so a divergence"
            " between them does not decompose into single latents",
            hint=f"choose {NORMAL_LATENTS}; or, in a plugin with these types, register how they decompose:"
            f" @register_kl_by_variable({types})",
        )
    pair: Pair = found(q, p)
    return pair


def parts_of(q: Distribution, p: Distribution, z: Tensor) -> list[Part]:
    """Posterior, prior and draws of each part; latents of one kind are a single part."""
    found = _registered(_PARTS, q, p)
    return [(q, p, z)] if found is None else found(q, p, z)


def own_reason(error: NotImplementedError) -> str:
    """What an author's formula says of a pair that it refuses, behind a colon; nothing where torch has no formula at all.

    Example:
        >>> own_reason(NotImplementedError("only for vectors of one length"))
        ': only for vectors of one length'
    """
    said = " ".join(str(error).split())
    return "" if not said or said.startswith("No KL(p || q) is implemented") else f": {said[:300]}"


def by_variable(measure: Measure, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """The contribution of each variable to a divergence that is a sum over independent variables.

    Args:
        measure: the divergence, ``(q, p, z) → (*batch_shape of q)``.
        q: posterior.
        p: prior.
        z: draws from ``q``, ``(K, B, *event_shape)``.

    Returns:
        ``(B, *variables)``; for latents of several kinds ``(B, variables)``, where a part that does not decompose is one
        variable.

    Raises:
        UndefinedError: latents of a single kind are not known to be independent of each other.

    Example:
        >>> q = Independent(torch.distributions.Normal(torch.ones(3, 2), 1.0), 1)
        >>> p = Independent(torch.distributions.Normal(torch.zeros(2), 1.0), 1)
        >>> by_variable(known_kl, q, p, q.sample((1,)))[0]
        tensor([0.5000, 0.5000])
    """
    parts = parts_of(q, p, z)
    if len(parts) > 1:
        return torch.cat([_of_part(measure, *part) for part in parts], 1)
    found = _averaged(measure(*variables_of(q, p), z), q)
    return found[:, None] if found.dim() == 1 else found


def by_part(measure: Measure, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """The contribution of each part to a divergence that is a sum over the parts, ``(B, parts)``.

    The contribution of a part that depends on those before it is averaged over their draws.
    """
    return torch.stack([_averaged(measure(*part), part[0]) for part in parts_of(q, p, z)], 1)


def known_kl(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """``KL(q ‖ p)`` in closed form if it is known for the whole or its parts, else a Monte-Carlo estimate; nats.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``

    Example:
        >>> from genmod.distributions.normal import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> known_kl(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((1,)))
        tensor([1., 1., 1.])
    """
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        if len(parts_of(q, p, z)) > 1:
            return by_part(known_kl, q, p, z).sum(1)
        return (q.log_prob(z) - p.log_prob(z)).mean(0)


def name_of(distribution: Distribution) -> str:
    """The name of a distribution in messages.

    Example:
        >>> name_of(Independent(torch.distributions.Laplace(torch.zeros(2), torch.ones(2)), 1))
        'independent Laplace'
    """
    if isinstance(distribution, Independent):
        return f"independent {name_of(distribution.base_dist)}"
    return type(distribution).__name__


def _averaged(found: Tensor, q: Distribution) -> Tensor:
    """The divergence of a part, ``(*draws, B)``, averaged over the draws of other parts that it depends on."""
    draws = len(q.batch_shape) - 1
    return found.flatten(0, draws - 1).mean(0) if draws > 0 else found


def _of_part(measure: Measure, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    try:
        return by_variable(measure, q, p, z).flatten(1)
    except UndefinedError:
        return _averaged(measure(q, p, z), q)[:, None]


def _registering(table: dict[_Types, Any], types: _Types) -> Callable[[_F], _F]:
    def register(function: _F) -> _F:
        table[types] = function
        return function

    return register


def _registered(table: dict[_Types, Any], q: Distribution, p: Distribution) -> Any:
    """The function of the nearest ancestors of the two types; None where there is none."""
    ancestors: Iterator[_Types] = ((a, b) for a in type(q).__mro__ for b in type(p).__mro__)
    return next((table[types] for types in ancestors if types in table), None)


@register_kl_by_variable(Independent, Independent)
def _independent(q: Independent, p: Independent) -> Pair:
    return q.base_dist, p.base_dist
