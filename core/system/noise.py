"""Random numbers that are the same on every device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

__all__ = ["drawn_on_cpu"]


def drawn_on_cpu(device: torch.device) -> AbstractContextManager[Any]:
    """Context in which random numbers are drawn on the CPU and then moved to their device.

    Generators of different devices give different numbers for the same seed, so a metric would depend on the device.

    Args:
        device: device of the computation; on the CPU the context does nothing.

    Example:
        >>> with drawn_on_cpu(torch.device("cpu")):
        ...     torch.randn(2).device
        device(type='cpu')
    """
    return nullcontext() if device.type == "cpu" else _OnCpu()  # type: ignore[no-untyped-call]


class _OnCpu(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in function.tags:
            return function(*args, **kwargs)
        changes_first = function._schema.is_mutable
        first = args[0] if args and isinstance(args[0], Tensor) else None
        device = kwargs.get("device") or (torch.device("cpu") if first is None else first.device)
        if changes_first and first is not None:
            # Its values are overwritten, so they need not be copied.
            args = (torch.empty_like(first, device="cpu"), *args[1:])
        args, kwargs = tree_map_only(Tensor, Tensor.cpu, (args, kwargs))
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        drawn = function(*args, **kwargs)
        if changes_first and first is not None:
            return first.copy_(drawn)
        return tree_map_only(Tensor, lambda tensor: tensor.to(device), drawn)
