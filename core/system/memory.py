"""How much memory a computation takes for each of the things it is done to."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["bytes_per_row"]

_ALIVE = 4
"""Tensors of the largest size that exist at the same time: a layer's input and output, and two of a density."""


class _Sizes(TorchDispatchMode):
    """Notes the size in bytes of whatever each operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        self.sizes.append(made.numel() * made.element_size() if isinstance(made, Tensor) else 0)
        return made


def bytes_per_row(compute: Callable[[int], Any]) -> int:
    """The memory that one row more takes, from the growth of the largest tensor between one row and two.

    Args:
        compute: does the work on so many rows.

    Example:
        >>> import torch
        >>> bytes_per_row(lambda rows: torch.ones(rows, 100).exp().sum())
        1600
    """
    compute(1)  # what is computed once and kept would set the two lists off against each other
    seen = []
    for rows in (1, 2):
        with _Sizes() as noted:
            compute(rows)
        seen.append(noted.sizes)
    # Weights are as large for two rows as for one, whatever views are taken of them.
    grown = [b - a for a, b in zip(*seen, strict=False)]
    return _ALIVE * max([1, *grown])
