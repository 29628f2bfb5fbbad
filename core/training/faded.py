"""Numbers of an optimizer's state that have faded below the normal ones, with which a processor is slow."""

from collections.abc import Iterable

import torch
from torch import Tensor, optim

from genmod.training.sharding import local_part

__all__ = ["EVERY", "drop_faded"]

EVERY = 64
"""Steps between two looks; one takes a third of what a step of fused Adam takes."""
_LEAST_EPS = 1e-12


@torch.no_grad()
def drop_faded(optimizers: Iterable[optim.Optimizer]) -> None:
    """Set what is smaller than the smallest normal number to zero, in running means of gradients on the processor.

    Such a mean shrinks by a tenth at each step where there is no gradient any more: behind a unit that is dead, or at a
    pixel that is hardly ever on. After 800 steps it is a subnormal number, and stays one, since it is rounded up as often
    as it shrinks. After 1,000 steps on MNIST a tenth of Adam's means are, and its step takes four times as long. Weights
    keep their bits: such a mean moves none by more than 1e-32. Groups that divide by next to nothing are left as they
    are, since there it could.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = optim.Adam([weight])
        >>> weight.sum().backward()
        >>> optimizer.step()
        >>> _ = optimizer.state[weight]["exp_avg"][0].fill_(1e-39)
        >>> drop_faded([optimizer])
        >>> optimizer.state[weight]["exp_avg"]
        tensor([0.0000, 0.1000])
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            eps = group.get("eps")
            if isinstance(eps, float) and eps < _LEAST_EPS:
                continue
            for value in [
                v for p in group["params"] if p in optimizer.state for v in optimizer.state[p].values()
            ]:
                own = local_part(value) if isinstance(value, Tensor) and value.dim() else None
                if own is not None and own.is_floating_point() and own.device.type == "cpu":
                    # In one pass: what lies between minus and plus the bound becomes zero, and NaN stays NaN.
                    torch.ops.aten.hardshrink.out(own, torch.finfo(own.dtype).tiny, out=own)
