"""Importance sampling from the posterior: bounds on ``log p(x)`` by many draws, in little memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod.interfaces.given import WholeModel
from genmod.system.memory import bytes_per_row
from genmod.system.noise import drawn_on_cpu

__all__ = ["Bounds", "LogMeanExp", "importance_bounds", "latents_that_fit"]

_VALUES = 2**18
"""Values of latents drawn at a time."""
_ROWS = 2**14
"""Latents drawn at a time, at most."""
_DRAWS = 1000
"""Of those, draws for one example, at most."""


class LogMeanExp:
    """A running ``log 1/K Σ_k w_k`` and effective number of draws, from ``log w`` block by block, in double precision.

    ``(Σ_k w_k)² / Σ_k w_k²`` of ``K`` draws count as much as so many draws from the exact posterior would.

    Example:
        >>> running = LogMeanExp(1)
        >>> for block in ([[0.0], [0.0]], [[0.0]]):
        ...     running.add(torch.tensor(block))
        >>> round(running.value.item(), 9), round(running.effective.item(), 9)
        (-0.0, 3.0)
    """

    def __init__(self, examples: int, device: torch.device | None = None) -> None:
        self.count = 0
        self._first = torch.full((examples,), -math.inf, dtype=torch.float64, device=device)
        self._second = self._first.clone()

    def add(self, log_weights: Tensor) -> None:
        """Take in a block, ``(K, B)``."""
        block = log_weights.double()
        self.count += len(block)
        largest = block.amax(0)
        largest = largest.where(largest.isfinite(), 0.0)
        weights = (block - largest).exp_()
        self._first = torch.logaddexp(self._first, largest + weights.sum(0).log_())
        self._second = torch.logaddexp(self._second, 2 * largest + weights.square_().sum(0).log_())

    @property
    def value(self) -> Tensor:
        """``log 1/K Σ_k w_k``, ``(B,)``."""
        return self._first - math.log(self.count)

    @property
    def effective(self) -> Tensor:
        """Effective number of draws, ``(B,)``, from 1 to K; 0 where no draw has any weight."""
        return (2 * self._first - self._second).exp().nan_to_num(0.0)

    @property
    def variance(self) -> Tensor:
        """Of :attr:`value`, to first order, ``(B,)``: that of the mean weight over its square; NaN of a single draw."""
        # Of a mean m with standard error e, log m has e/m.
        return (self.count / self.effective - 1).clamp(min=0) / (self.count - 1 or math.nan)


@dataclass(frozen=True)
class Bounds:
    """Importance-weighted bounds of examples, by the number of draws.

    Args:
        values: ``log 1/K Σ_k w_k`` of the first ``K`` draws, ``(number of K, B)`` float64 on the CPU, nats.
        effective: how many draws from the exact posterior they are worth, of the same shape.
        variances: of the values, by the draws, of the same shape.
    """

    values: Tensor
    effective: Tensor
    variances: Tensor


def importance_bounds(
    model: WholeModel,
    x: Tensor,
    context: Tensor | None,
    counts: Sequence[int],
    *,
    rows: int,
    on_progress: Callable[[int], None] | None = None,
) -> Bounds:
    """``log 1/K Σ_k p(x, z_k) / q(z_k|x)``, ``z_k ~ q(z|x)``, for several ``K`` of one stream of draws.

    Draws do not depend on ``rows``: latents are drawn in blocks of a fixed size, then decoded in pieces that fit into
    memory.

    Args:
        model: one with densities.
        x: observations, ``(B, *data.shape)``.
        context: conditions of each, ``(B, size)``, of a conditional model.
        counts: every ``K``, rising.
        rows: latents decoded at a time, at most.
        on_progress: called with the number of examples that are done.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2015), arXiv:1509.00519

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2).eval()
        >>> with torch.no_grad():
        ...     bounds = importance_bounds(model, torch.zeros(3, 1, 8, 8), None, [1, 10], rows=100)
        >>> bounds.values.shape, bool((bounds.effective[0] == 1).all())
        (torch.Size([2, 3]), True)
    """
    if not model.has_latents:
        return _estimates(model, x, context, counts, on_progress)
    block = max(1, min(_ROWS, _VALUES // max(1, math.prod(model.latent_shape))))
    draws = min(_DRAWS, block, counts[-1])
    size = block // draws
    parts = []
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        examples, running = _Examples(model, x[part], context, start), LogMeanExp(len(x[part]), x.device)
        found = []
        for count in _blocks(counts, draws):
            running.add(examples.log_weights(count, rows))
            if running.count in counts:
                found.append(torch.stack([running.value, running.effective, running.variance]))
        parts.append(torch.stack(found, 1).cpu())
        if on_progress is not None:
            on_progress(min(start + size, len(x)))
    return Bounds(*torch.cat(parts, 2).unbind(0))


def latents_that_fit(model: WholeModel, x: Tensor, context: Tensor | None, memory: int) -> int:
    """How many latents can be decoded and scored in so many bytes.

    Args:
        model: one with densities.
        x: observations, ``(B, *data.shape)``, of which the first is tried.
        context: conditions of each, ``(B, size)``, of a conditional model.
        memory: bytes.
    """
    if not model.has_latents:
        return 1
    one = _Examples(model, x[:1], context, 0)
    return max(1, memory // bytes_per_row(lambda rows: one.log_weights(rows, rows)))


def _estimates(
    model: Any,
    x: Tensor,
    context: Tensor | None,
    counts: Sequence[int],
    on_progress: Callable[[int], None] | None,
) -> Bounds:
    """Bounds by a model that estimates ``log p(x)`` itself; one estimate is all where it is exact."""
    running, found = LogMeanExp(len(x), x.device), []
    exact = model.log_weights(x, 1, context) if model.exact else None
    for count in _blocks(counts, _DRAWS):
        with drawn_on_cpu(x.device):
            running.add(
                model.log_weights(x, count, context)
                if exact is None
                else exact.expand(count, *exact.shape[1:])
            )
        if running.count in counts:
            found.append(torch.stack([running.value, running.effective, running.variance]))
    if on_progress is not None:
        on_progress(len(x))
    return Bounds(*torch.stack(found, 1).cpu().unbind(0))


class _Examples:
    """Examples with their conditions, posterior and prior."""

    def __init__(self, model: WholeModel, x: Tensor, context: Tensor | None, start: int) -> None:
        self.model, self.x = model, x
        self.context = None if context is None else context[start : start + len(x)]
        given = model.given(self.context)
        self.q: Distribution = given.encode(x)
        self.prior: Distribution = given.prior()

    def log_weights(self, count: int, rows: int) -> Tensor:
        """``log p(x, z) - log q(z|x)`` of new draws, ``(count, B)``; at most ``rows`` latents are decoded at a time."""
        with drawn_on_cpu(self.x.device):
            z = self.q.rsample((count,))
        log_q = self.q.log_prob(z)
        log_p = torch.empty_like(log_q)
        for some in _even(len(self.x), max(1, rows // count)):
            model = self.model.given(None if self.context is None else self.context[some])
            prior = model.prior() if self.prior.batch_shape else self.prior
            for draws in _even(count, rows):
                piece = draws, some
                log_p[piece] = model.decode(z[piece]).log_prob(self.x[some]) + prior.log_prob(z[piece])
        return log_p - log_q


def _even(count: int, most: int) -> list[slice]:
    """Slices of nearly the same length, at most ``most``.

    Example:
        >>> _even(10, 6)
        [slice(0, 5, None), slice(5, 10, None)]
    """
    length = -(-count // -(-count // most)) if count else 1
    return [slice(start, start + length) for start in range(0, count, length)]


def _blocks(counts: Sequence[int], draws: int) -> Iterator[int]:
    """Sizes of blocks of at most ``draws`` that end at each of the counts.

    Example:
        >>> list(_blocks([1, 10, 25], 10))
        [1, 9, 10, 5]
    """
    for done, count in pairwise((0, *counts)):
        for start in range(done, count, draws):
            yield min(draws, count - start)
