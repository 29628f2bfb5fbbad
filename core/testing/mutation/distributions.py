"""Distributions with one method changed."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch.distributions import Distribution

from genmod.testing.mutation.mutator import Attributes, Seen, after

__all__ = ["makes"]

Change = Callable[..., Any]
"""``change(distribution, original, *arguments)`` with the method of the correct distribution; the result is returned."""


def makes(cls: Any, seen: Seen, changes: Mapping[str, Change], name: str = "forward") -> Attributes:
    """A method that makes distributions, with other methods, or another ``mean``, in those that it makes.

    Raises:
        NoChange: the class has no such method.
    """
    return after(cls, name, lambda self, made, *args: _altered(made, changes, seen), Seen())


def _altered(distribution: Any, changes: Mapping[str, Change], seen: Seen) -> Any:
    if not isinstance(distribution, Distribution):
        return distribution
    own = type(distribution)
    attributes: dict[str, Any] = {}
    for name, change in changes.items():
        if name == "mean":
            attributes[name] = _property(own, name, change, seen)
        elif callable(getattr(own, name, None)):
            attributes[name] = _method(own, name, change, seen)
    # A copy, because some parts hand out the same distribution each time.
    other: Any = copy.copy(distribution)
    other.__class__ = type(own.__name__, (own,), attributes)
    return other


def _method(own: type[Any], name: str, change: Change, seen: Seen) -> Any:
    original = getattr(own, name)

    def method(self: Any, *args: Any, **options: Any) -> Any:
        # A method that calls another one, as sample calls rsample, is changed once.
        if self.__dict__.get("_changing"):
            return original(self, *args, **options)
        self.__dict__["_changing"] = True
        try:
            seen.reached = True
            return change(self, lambda *given: original(self, *(given or args), **options), *args)
        finally:
            self.__dict__["_changing"] = False

    return method


def _property(own: type[Any], name: str, change: Change, seen: Seen) -> Any:
    original = getattr(own, name)

    def value(self: Any) -> Any:
        found = original.__get__(self, own)
        return seen(found, change(self, found))

    return property(value)
