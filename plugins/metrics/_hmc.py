"""Hamiltonian Monte Carlo: moves that leave a density invariant, for many chains at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.system import drawn_on_cpu

__all__ = ["State", "hmc_move", "leapfrog"]

Energies = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points ``(C, B, *shape)`` → two log-densities of each, ``(C, B)``."""


@dataclass(frozen=True)
class State:
    """The positions of chains, with the log-densities there.

    Args:
        u: points, ``(C, B, *shape)``.
        start: the log-density at one end of a path, ``(C, B)``.
        target: that at the other end.
        mixed: ``(1 - β) start + β target``.
        slope: its gradient, ``(C, B, *shape)``.
    """

    u: Tensor
    start: Tensor
    target: Tensor
    mixed: Tensor
    slope: Tensor

    @classmethod
    def at(cls, energies: Energies, u: Tensor, beta: float) -> "State":
        """Chains at points of a path; ``β`` interpolates between the densities at its ends."""
        with torch.enable_grad():
            leaf = u.detach().requires_grad_()
            start, target = energies(leaf)
            # Where one end has no density at all the other may still count.
            mixed = (1 - beta) * start + beta * target if 0 < beta < 1 else (target if beta else start)
            (slope,) = torch.autograd.grad(mixed.sum(), leaf)
        return cls(leaf.detach(), start.detach(), target.detach(), mixed.detach(), slope)


def leapfrog(
    energies: Energies, state: State, momentum: Tensor, beta: float, step: Tensor, steps: int
) -> tuple[State, Tensor]:
    """A path that nearly conserves the sum of energies, conserves volume, and leads back when the momentum is reversed.

    Args:
        energies: log-densities.
        state: where it begins.
        momentum: ``(C, B, *shape)``.
        beta: which density on the path.
        step: of each example, ``(B,)``.
        steps: how many.

    Returns:
        Where it ends, and the momentum there.

    Example:
        >>> def normal(u): return -0.5 * u.square().sum(-1), torch.zeros(u.shape[:-1])
        >>> begun = State.at(normal, torch.ones(1, 1, 2), 0.0)
        >>> ended, momentum = leapfrog(normal, begun, torch.ones(1, 1, 2), 0.0, torch.tensor([0.1]), 20)
        >>> back, _ = leapfrog(normal, ended, -momentum, 0.0, torch.tensor([0.1]), 20)
        >>> bool(torch.allclose(back.u, begun.u, atol=1e-5))
        True
    """
    size = step.reshape(-1, *(1,) * (state.u.dim() - 2))
    for _ in range(steps):
        momentum = momentum + 0.5 * size * state.slope
        state = State.at(energies, state.u + size * momentum, beta)
        momentum = momentum + 0.5 * size * state.slope
    return state, momentum


def hmc_move(energies: Energies, u: Tensor, beta: float, step: Tensor, steps: int) -> tuple[State, Tensor]:
    """Move chains by Hamiltonian dynamics, and reject moves that lose too much density.

    The density ``exp((1 - β) start + β target)`` is invariant, for any size of the steps that does not depend on
    where the chains are.

    Args:
        energies: log-densities ``start`` and ``target``.
        u: where the chains are, ``(C, B, *shape)``.
        beta: which density on the path between them.
        step: of each example, ``(B,)``.
        steps: leapfrog steps in a move.

    Returns:
        The new state of the chains, and the probability with which each move was accepted, ``(C, B)``.

    Reference:
        MCMC using Hamiltonian dynamics (Neal, 2012), arXiv:1206.1901
    """
    begun = State.at(energies, u, beta)
    with drawn_on_cpu(u.device):
        momentum, dice = torch.randn_like(u), torch.rand(u.shape[:2], dtype=torch.float64, device=u.device)
    ended, turned = leapfrog(energies, begun, momentum, beta, step, steps)
    kinetic = [0.5 * each.double().square().flatten(2).sum(-1) for each in (momentum, turned)]
    gain = ended.mixed.double() - kinetic[1] - begun.mixed.double() + kinetic[0]
    # A path that diverged is not accepted.
    chance = gain.clamp(max=0).exp().nan_to_num(0.0)
    taken = dice < chance

    def chosen(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(taken.reshape(*taken.shape, *(1,) * (new.dim() - 2)), new, old)

    fields = ("u", "start", "target", "mixed", "slope")
    return State(*(chosen(getattr(ended, name), getattr(begun, name)) for name in fields)), chance
