"""Steps of torch's fused Adam on the processor, where torch does more around its kernel than the kernel does."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn, optim

__all__ = ["short_steps"]


def short_steps(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` of Adam or AdamW, which from the second one on calls the fused kernel with lists that were made once.

    Torch's own makes six lists at each step, sorts their tensors by device, and looks for accelerators and hooks: 0.25 ms,
    where the kernel takes 0.5 for 650,000 weights. The kernel is the same, and so are the numbers. Torch's own step is
    taken wherever anything is unusual: another device, a parameter without a gradient, scaled gradients, hooks, a closure.

    Args:
        step: torch's, with its hooks.
    """

    @wraps(step)
    def short(self: optim.Adam, closure: Callable[[], Any] | None = None) -> Any:
        state, lists = vars(self).get("_short", (None, []))
        hooks = self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks
        scaled = getattr(self, "found_inf", None) is not None or getattr(self, "grad_scale", None) is not None
        gradients = [[p.grad for p in parameters] for parameters, *_ in lists]
        missing = any(g is None for group in gradients for g in group)
        # Another state has been loaded where it is another object.
        stale = state is not self.state or len(lists) != len(self.param_groups)
        if stale or missing or hooks or scaled or closure is not None:
            done = step(self) if closure is None else step(self, closure)
            self._short = self.state, _lists(self)  # type: ignore[attr-defined]
            return done
        with torch.no_grad():
            for group, own, (parameters, *moments, steps) in zip(
                self.param_groups, gradients, lists, strict=True
            ):
                # Older versions of torch have no such entry, and two classes.
                decoupled = group.get("decoupled_weight_decay", isinstance(self, optim.AdamW))
                kernel: Any = torch._fused_adamw_ if decoupled else torch._fused_adam_
                torch._foreach_add_(steps, 1)
                kernel(
                    parameters,
                    own,
                    *moments,
                    steps,
                    lr=group["lr"],
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    amsgrad=group["amsgrad"],
                    maximize=group["maximize"],
                    grad_scale=None,
                    found_inf=None,
                )
        return None

    return short


def _lists(optimizer: optim.Adam) -> list[list[list[Tensor]]]:
    """For each group its parameters, their moments and their steps; none where torch's own step is needed."""
    made: list[list[list[Tensor]]] = []
    for group in optimizer.param_groups:
        parameters = group["params"]
        usual = group["fused"] and not group["capturable"] and len({p.dtype for p in parameters}) == 1
        if not usual or not all(type(p) is nn.Parameter and p.device.type == "cpu" for p in parameters):
            return []
        slots = [optimizer.state[p] for p in parameters if p in optimizer.state]
        if len(slots) < len(parameters):
            return []
        made.append([parameters])
        for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"):
            made[-1].append([slot[name] for slot in slots if name in slot])
    return made
