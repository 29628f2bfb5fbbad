"""Annealed importance sampling: from draws of a known distribution to the posterior, and back."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from genmod import LatentVariableModel, UndefinedError
from genmod.distributions import Coordinates, coordinates
from genmod.plugins.metrics._hmc import State, hmc_move
from genmod.system import drawn_on_cpu

__all__ = ["Annealed", "Path", "Start", "anneal", "anneal_back", "schedule"]

Start = Literal["prior", "posterior"]
"""Where chains begin: at draws of ``p(z)`` or of ``q(z|x)``."""

_WANTED = 0.65
"""The acceptance rate at which Hamiltonian Monte Carlo moves furthest for its cost."""
_RATE = 0.4
_SCOUTS = 4
"""Chains for each example with which the size of the steps for the others is adapted."""


def schedule(steps: int) -> list[float]:
    """Places ``β`` on the path from 0 to 1, close together at both ends, ``steps + 1`` of them.

    Reference:
        On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2016), arXiv:1611.04273

    Example:
        >>> [round(beta, 2) for beta in schedule(4)]
        [0.0, 0.1, 0.5, 0.9, 1.0]
    """
    ends = math.tanh(2.0)
    inner = [(1 + math.tanh(4 * step / steps - 2) / ends) / 2 for step in range(1, steps)]
    return [0.0, *inner, 1.0]


class Path:
    """The densities between ``q_0(z)`` and ``p(x, z)`` of examples: ``q_0^(1 - β) p(x, z)^β``.

    Chains move in all of R^n; latents that live elsewhere are mapped there, and the densities are those of the mapped
    ones.

    Args:
        model: one with densities.
        x: observations, ``(B, *data.shape)``.
        context: conditions of each, ``(B, size)``, of a conditional model.
        start: what ``q_0`` is.

    Raises:
        UndefinedError: the latents are discrete, or on a surface that is no image of R^n.
    """

    def __init__(
        self, model: LatentVariableModel, x: Tensor, context: Tensor | None, start: Start = "prior"
    ) -> None:
        self.model, self.x = model.given(context), x
        self.prior = self.model.prior()
        self.first = self.model.encode(x) if start == "posterior" else self.prior
        self.map = unconstrained(model.prior.support)

    def draw(self, chains: int) -> Tensor:
        """Where chains begin, in R^n, ``(chains, B, *shape)``."""
        examples = () if self.first.batch_shape else (len(self.x),)
        with torch.no_grad(), drawn_on_cpu(self.x.device):
            return self.map.back(self.first.sample((chains, *examples)))

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """``log q_0`` and ``log p(x, z)`` of points of R^n, ``(C, B)`` each."""
        z, stretch = self.map.forward(u)
        prior = self.prior.log_prob(z) + stretch
        first = prior if self.first is self.prior else self.first.log_prob(z) + stretch
        return first, prior + self.model.decode(z).log_prob(self.x)


def unconstrained(support: Constraint | None) -> Coordinates:
    """The coordinates of a support.

    Raises:
        UndefinedError: there is none.

    Example:
        >>> from torch.distributions import constraints
        >>> unconstrained(constraints.nonnegative).forward(torch.zeros(2))[0]
        tensor([1., 1.])
    """
    if support is None or support.is_discrete:
        raise UndefinedError(
            "its latents are discrete, and chains move through continuous ones; with few states, metric exact sums over"
            " all of them"
        )
    try:
        return coordinates(support)
    except NotImplementedError:
        raise UndefinedError(
            f"its latents live in {support!r}, onto which no map from R^n is known; metric nll needs none"
        ) from None


@dataclass(frozen=True)
class Annealed:
    """The result of annealing, of each chain and example.

    Args:
        log_weights: ``(chains, B)`` float64, nats; of ``p(x)``, or of ``1/p(x)`` on the way back.
        steps: the size of the steps at each place of the path, ``(T - 1, B)``.
        acceptance: the share of moves that were accepted, ``(B,)``.
    """

    log_weights: Tensor
    steps: Tensor
    acceptance: Tensor


def anneal(
    path: Path,
    betas: Sequence[float],
    *,
    chains: int,
    leapfrogs: int,
    on_progress: Callable[[float], None] | None = None,
) -> Annealed:
    """Weights whose mean is ``p(x)``: ``log w = Σ_t (β_t - β_{t-1}) (log p(x, z_{t-1}) - log q_0(z_{t-1}))``.

    Between the steps, chains move such that the density at ``β_t`` is invariant. The size of their moves is adapted, for
    each example and place, with a few chains that are then left out, so that it does not depend on the chains that count
    and the mean of the weights stays exactly ``p(x)``.

    Args:
        path: of examples.
        betas: places on it, from 0 to 1.
        chains: for each example.
        leapfrogs: leapfrog steps in a move.
        on_progress: called with the share of the work that is done.

    Reference:
        Annealed Importance Sampling (Neal, 2001), doi:10.1023/A:1008923215028, arXiv:physics/9803008
    """
    u = path.draw(_SCOUTS + chains)
    state = State.at(path, u, 0.0)
    log_step = torch.full((u.shape[1],), -1.0, dtype=torch.float64, device=u.device)
    total = torch.zeros(state.start.shape, dtype=torch.float64, device=u.device)
    used, accepted = [], torch.zeros_like(log_step)
    for t in range(1, len(betas)):
        total += (betas[t] - betas[t - 1]) * (state.target.double() - state.start.double())
        if t < len(betas) - 1:
            used.append(log_step.exp())
            state, chance = hmc_move(path, state.u, betas[t], used[-1].to(u.dtype), leapfrogs)
            log_step = log_step + _RATE * (chance[:_SCOUTS].mean(0) - _WANTED)
            accepted += chance[_SCOUTS:].mean(0)
        if on_progress is not None:
            on_progress(t / (len(betas) - 1))
    steps = torch.stack(used) if used else total.new_zeros((0, len(log_step)))
    return Annealed(total[_SCOUTS:], steps, accepted / max(1, len(used)))


def anneal_back(
    path: Path, betas: Sequence[float], z: Tensor, steps: Tensor, *, chains: int, leapfrogs: int
) -> Annealed:
    """The same way back, from draws of the posterior: weights whose mean is ``1/p(x)``.

    With a draw of the exact posterior, as there is one of examples that the model itself has made, their logarithm
    bounds ``-log p(x)`` from below, on average.

    Args:
        path: of examples.
        betas: places on it, from 0 to 1.
        z: a draw of the exact posterior of each, ``(B, *latent_shape)``.
        steps: the size of the steps at each place, as :func:`anneal` found them.
        chains: for each example.
        leapfrogs: leapfrog steps in a move.

    Reference:
        Sandwiching the marginal likelihood using bidirectional Monte Carlo (Grosse et al., 2015), arXiv:1511.02543
    """
    u = path.map.back(z.expand(chains, *z.shape))
    state = State.at(path, u, 1.0)
    total = torch.zeros(state.start.shape, dtype=torch.float64, device=u.device)
    accepted = torch.zeros_like(total[0])
    for t in range(len(betas) - 1, 0, -1):
        total -= (betas[t] - betas[t - 1]) * (state.target.double() - state.start.double())
        if t > 1:
            state, chance = hmc_move(path, state.u, betas[t - 1], steps[t - 2].to(u.dtype), leapfrogs)
            accepted += chance.mean(0)
    return Annealed(total, steps, accepted / max(1, len(betas) - 2))
