"""Functions that ``torch.compile`` does not compile."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

__all__ = ["uncompiled"]

P = ParamSpec("P")
T = TypeVar("T")


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for a function that ``torch.compile`` calls without compiling it.

    Unlike ``torch.compiler.disable``, it imports the compiler only during a compilation: that import takes as long as
    that of torch.

    Example:
        >>> @uncompiled
        ... def double(x: torch.Tensor) -> torch.Tensor:
        ...     return 2 * x
        >>> double(torch.tensor(1.0))
        tensor(2.)
    """

    @wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():
            disabled: Callable[P, T] = torch.compiler.disable(function)
            return disabled(*args, **kwargs)
        return function(*args, **kwargs)

    return plain
