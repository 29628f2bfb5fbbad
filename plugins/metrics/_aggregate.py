"""The aggregate posterior: the distribution of the codes of all examples together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from genmod import Doc, Subject, UndefinedError

__all__ = ["Aggregate", "ExampleCount", "aggregate", "pairwise_log_prob"]

ExampleCount = Annotated[
    int | None,
    Ge(2),
    Doc("as many, chosen at random; 10,000 unless given, 2,000 where posteriors are not independent normals"),
]

_PAIRS = 2**23
"""Densities of a draw under a posterior that are held at a time: 64 MiB."""

_MOST_NORMAL, _MOST = 10_000, 2_000


@dataclass(frozen=True)
class Aggregate:
    """Log-densities of a draw ``z_i ~ q(z|x_i)`` for each of N examples, ``(N,)`` float64 each, nats.

    Args:
        own: ``log q(z_i|x_i)``.
        others: ``log 1/(N-1) Σ_{j≠i} q(z_i|x_j)``.
        prior: ``log p(z_i)``, of a conditional prior the mean over the conditions of all examples; None where there is no
            density.
    """

    own: Tensor
    others: Tensor
    prior: Tensor | None

    @property
    def all(self) -> Tensor:
        """``log q(z_i) = log 1/N Σ_j q(z_i|x_j)``."""
        n = len(self.own)
        return torch.logaddexp(self.own, self.others + math.log(n - 1)) - math.log(n)


def aggregate(subject: Subject, stream: str, examples: int | None = None) -> Aggregate:
    """The aggregate posterior of the examples of a split, at one draw of each posterior.

    The densities of all N² pairs of draws and posteriors are computed.

    Args:
        subject: what is measured.
        stream: of random numbers.
        examples: how many, chosen at random; by default 10,000, or 2,000 where the posterior is not one of independent
            normals.

    Raises:
        UndefinedError: the posterior has no density, or there are fewer than two examples.
    """
    model, split = subject.model, subject.split
    if not model.posterior.has_density:
        raise UndefinedError(f"its posterior {model.spec.components['posterior'].name!r} has no density")
    if len(split) < 2:
        raise UndefinedError("it needs two examples or more")
    if examples is None:
        with torch.no_grad(), subject.drawing(f"{stream}/kind"):
            given, x, _ = next(subject.batches(stream, limit=1))
            examples = _MOST_NORMAL if _is_diagonal_normal(given.encode(x)) else _MOST
    with subject.drawing(f"{stream}/choice"):
        chosen = torch.randperm(len(split))[: max(2, examples)].sort().values.tolist()
    posteriors, priors, draws, own = [], [], [], []
    for start in range(0, len(chosen), subject.size):
        with torch.no_grad(), subject.drawing(stream, start):
            batch = split.__getitems__(chosen[start : start + subject.size])
            x = model.observe(batch.x.to(model.device))
            given = model.given(model.context(batch))
            q = given.encode(x)
            z = q.sample()
            own.append(_own_log_prob(q, z))
            posteriors.append(q)
            draws.append(z)
            priors.append(given.prior() if model.prior.has_density else None)
    z, at_own = torch.cat(draws), torch.cat(own)
    others = _log_mean_of_others(posteriors, z, lambda done: subject.progress(stream, done, len(z)))
    known = [p for p in priors if p is not None]
    at_prior = None
    if known:
        if known[0].batch_shape:
            here = torch.cat([p.log_prob(part).double() for p, part in zip(known, draws, strict=True)])
            elsewhere = _log_mean_of_others(known, z)
            at_prior = Aggregate(here, elsewhere, None).all
        else:
            at_prior = torch.cat([known[0].log_prob(part).double() for part in draws])
    return Aggregate(at_own.cpu(), others.cpu(), None if at_prior is None else at_prior.cpu())


def pairwise_log_prob(q: Distribution, z: Tensor) -> Tensor:
    """``log q_j(z_i)`` of every pair, ``(M, B)`` float64.

    Args:
        q: ``batch_shape (B,)``.
        z: ``(M, *event_shape)``.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.zeros(2, 3), torch.zeros(2, 3), 1)
        >>> pairwise_log_prob(q, torch.zeros(4, 3)).shape
        torch.Size([4, 2])
    """
    if not _is_diagonal_normal(q):
        return q.log_prob(z[:, None]).double()
    # One product of matrices; in double precision the expanded square keeps enough digits.
    loc, scale = q.mean.flatten(1).double(), q.stddev.flatten(1).double()
    precision, flat = scale.square().reciprocal(), z.flatten(1).double()
    constant = -0.5 * (loc.square() * precision).sum(1) - scale.log().sum(1)
    constant = constant - 0.5 * math.log(2 * math.pi) * flat.shape[1]
    by_square = torch.addmm(constant, flat.square(), precision.T, alpha=-0.5)
    return torch.addmm(by_square, flat, (loc * precision).T)


def _own_log_prob(q: Distribution, z: Tensor) -> Tensor:
    """``log q_i(z_i)``, ``(B,)`` float64."""
    if _is_diagonal_normal(q):
        # As precise as the densities of the other draws, from which this is subtracted.
        return Normal(q.mean.double(), q.stddev.double()).log_prob(z.double()).flatten(1).sum(1)
    # A flow keeps the density of its own draw.
    return q.log_prob(z).double()


def _is_diagonal_normal(q: Distribution) -> bool:
    return isinstance(q, Independent) and isinstance(q.base_dist, Normal)


def _log_mean_of_others(
    parts: Sequence[Distribution], z: Tensor, on_progress: Callable[[int], None] | None = None
) -> Tensor:
    """``log 1/(N-1) Σ_{j≠i} q_j(z_i)``, ``(N,)``."""
    n, place = len(z), 0
    total = torch.full((n,), -math.inf, dtype=torch.float64, device=z.device)
    for q in parts:
        count = q.batch_shape[0]
        width = 1 if _is_diagonal_normal(q) else math.prod(z.shape[1:])
        step = max(1, _PAIRS // (count * width))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            found = pairwise_log_prob(q, z[rows])
            first, last = max(start, place), min(rows.stop, place + count)
            if first < last:
                found[first - start : last - start, first - place : last - place].fill_diagonal_(-math.inf)
            total[rows] = torch.logaddexp(total[rows], found.logsumexp(1))
        place += count
        if on_progress is not None:
            on_progress(place)
    return total - math.log(n - 1)
