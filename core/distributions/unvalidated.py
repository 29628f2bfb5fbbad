"""Distributions that do not check their values, for as long as there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from torch.distributions import Distribution

__all__ = ["unvalidated"]

_lock = Lock()
_before: list[bool] = []
"""The default before anybody was inside, once for each who is: threads may leave in another order."""


@contextmanager
def unvalidated() -> Iterator[None]:
    """Context in which distributions validate nothing by default, as those without values cannot.

    The default belongs to all threads; it is put back when the last of them is outside.

    Example:
        >>> from torch.distributions import Normal
        >>> with unvalidated():
        ...     Normal(0.0, -1.0).scale
        tensor(-1.)
    """
    with _lock:
        _before.append(_before[0] if _before else Distribution._validate_args)
        Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        with _lock:
            default = _before.pop()
            Distribution.set_default_validate_args(False if _before else default)
