"""How samplers that are networks are fitted: by gradient steps, until codes held out get no more likely."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["fit_network", "split_held"]

_EVERY = 25
"""Steps between two evaluations on the codes held out."""
_PATIENCE = 12
"""Evaluations without a lower loss after which the fit ends."""


def split_held(y: Tensor) -> tuple[Tensor, Tensor]:
    """Codes for fitting and a tenth of them that is held out, ``(N, d) → (n, d), (m, d)``; all in both where there are few."""
    order = torch.randperm(len(y)).to(y.device)
    held = y[order[: len(y) // 10]] if len(y) >= 20 else y
    rest = y[order[len(y) // 10 :]] if len(y) >= 20 else y
    return rest, held


def fit_network(
    network: nn.Module,
    rest: Tensor,
    loss: Callable[[Tensor], Tensor],
    held_loss: Callable[[nn.Module], Tensor],
    *,
    steps: int,
    batch: int,
    lr: float,
    average: bool = False,
    on_step: Callable[[int, int], None] | None,
) -> None:
    """Minimise a loss with Adam and a cosine schedule; keep the weights whose loss of what is held out is least.

    Args:
        network: what is moved.
        rest: codes, ``(n, d)``.
        loss: of some of them, ``(b, d) → ()``.
        held_loss: of those held out, under some weights, always by the same random numbers, ``network → ()``.
        steps: most steps.
        batch: codes in each.
        lr: learning rate.
        average: look at running means of the weights, over about a hundred steps, and keep those.
        on_step: called with the number of steps that are done, and of all.
    """

    looked_at = copy.deepcopy(network) if average else network

    @torch.no_grad()
    def look() -> float:
        return float(held_loss(looked_at))

    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, least, looks = copy.deepcopy(looked_at.state_dict()), look(), 0
    for step in range(1, steps + 1):
        chosen = torch.randint(len(rest), (min(batch, len(rest)),)).to(rest.device)
        optimizer.zero_grad()
        loss(rest[chosen]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if average:
            with torch.no_grad():
                for mean, now in zip(looked_at.parameters(), network.parameters(), strict=True):
                    mean.lerp_(now, max(1 / step, 0.01))
        if on_step is not None:
            on_step(step, steps)
        if step % _EVERY and step != steps:
            continue
        looks += 1
        found = look()
        if found < least:
            best, least, looks = copy.deepcopy(looked_at.state_dict()), found, 0
        if looks >= _PATIENCE:
            break
    network.load_state_dict(best)
