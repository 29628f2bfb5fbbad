"""Values that are not finite, on a device that runs behind the program: noted there, and looked at later.

To see whether a gradient is finite, a program has to wait until the device has computed it, and the device then waits for
the program. Here a step that gave a bad value sets a flag on the device, with which neither that step nor any later one
moves weights, optimizers, buffers or averages. So the flag may be looked at many steps later, with the same result as at
once: the error names the step, and all is as before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, optim

from genmod.training.sharding import local_part

__all__ = ["LateCheck", "Seen", "may_look_late"]

RUNS_BEHIND = {"cuda"}
"""Types of devices that run behind the program."""


def may_look_late(device: torch.device, optimizers: Mapping[str, optim.Optimizer]) -> bool:
    """Whether a step on this device can do nothing where a flag on the device says so.

    Fused optimizers can: Adam, AdamW, SGD and Adagrad of torch. Before any other moves, its gradients are waited for.
    """
    fused = all(getattr(each, "_step_supports_amp_scaling", False) for each in optimizers.values())
    return device.type in RUNS_BEHIND and fused


@dataclass(frozen=True)
class Seen:
    """What a look at the flag has shown.

    Args:
        stopped: whether a step gave a value that is not finite.
        steps: finished since the last look, up to the step that did.
        skipped: how often a group of parameters stayed in these, since its gradient was too large.
    """

    stopped: bool
    steps: int
    skipped: int


class LateCheck:
    """The flag of a run, and how many steps were well before it was set.

    Args:
        device: of the run.
        together: whether there are other processes, which stop at the same step.

    Attributes:
        stopped: 1 from the first bad value on, 0 before, ``()``; what torch's fused optimizers call ``found_inf``.

    Example:
        >>> late = LateCheck(torch.device("cpu"), together=False)
        >>> for value in (1.0, float("nan"), 1.0):
        ...     late.see([torch.tensor(1.0)], [torch.tensor([value])])
        >>> late.look()
        Seen(stopped=True, steps=1, skipped=0)
    """

    def __init__(self, device: torch.device, *, together: bool) -> None:
        self.together = together
        # One tensor, so that a look is one copy: the flag, the steps and the groups that stayed, since the last look.
        self._all = torch.zeros(3, device=device)
        self.stopped, self._steps, self._skipped = self._all.unbind()

    @torch.no_grad()
    def see(self, losses: Iterable[Tensor], gradients: Iterable[Tensor]) -> None:
        """Note whether all losses ``()`` and gradients of a step are finite, as :func:`all_finite` has it."""
        # Of sharded ones, each process sees its part.
        norms = torch._foreach_norm([local_part(gradient) for gradient in gradients], ord=1)
        total = torch.stack([each.detach().float() for each in (*losses, *norms)]).sum()
        bad = (~total.isfinite()).float()
        if self.together:
            dist.all_reduce(bad, dist.ReduceOp.MAX)
        self.stopped.copy_(torch.maximum(self.stopped, bad))
        self._steps += 1 - self.stopped

    @torch.no_grad()
    def stays(self, norm: Tensor, most: float) -> Tensor:
        """Whether a group of parameters with this norm of its gradient ``()`` stays as it is: 1 or 0, ``()``."""
        over = (norm > most).float()
        self._skipped += over * (1 - self.stopped)
        return torch.maximum(self.stopped, over)

    def look(self) -> Seen:
        """Wait for the device, and begin to count anew."""
        stopped, steps, skipped = self._all.tolist()
        self._all[1:].zero_()
        return Seen(bool(stopped), int(steps), int(skipped))
