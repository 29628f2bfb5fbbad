"""What a mutator is: a fault that can be planted in any correct class of some kinds."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genmod.system.random import reseed

__all__ = [
    "MUTATORS",
    "Mutator",
    "NoChange",
    "Seen",
    "after",
    "before",
    "constructed",
    "mutates",
    "planted",
    "replaced",
    "reseeding",
]

_ABSENT = object()


class NoChange(Exception):
    """A fault that would change nothing in a class; the message says why."""


@dataclass
class Seen:
    """What became of a planted fault: whether its method was called, and whether it ever changed anything."""

    reached: bool = False
    changed: bool = False

    def __call__(self, old: Any, new: Any) -> Any:
        """Note a result and what was made of it, which is returned."""
        self.reached = True
        self.changed = self.changed or not _same(old, new)
        return new

    def surely(self, new: Any) -> Any:
        """Note a result that is another one, though that could not be seen in it alone."""
        self.reached = self.changed = True
        return new


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        if old.shape != new.shape or old.dtype != new.dtype or old.requires_grad != new.requires_grad:
            return False
        # Tensors of the meta device have no values to compare.
        with suppress(Exception):
            return bool(torch.allclose(old.double(), new.double(), rtol=1e-5, atol=1e-7, equal_nan=True))
        return True
    with suppress(Exception):
        return old is new or bool(old == new)
    return False


Attributes = Mapping[str, Any]
"""Attributes of a class, which take the place of its own."""


@dataclass(frozen=True)
class Mutator:
    """A fault that can be planted in any correct class of some kinds.

    Args:
        name: what is wrong, in a few words.
        kinds: of component that can have it.
        checks: names of the checks that are meant to notice it, by kind; none where no check can know.
        change: given a class and a record of what becomes of the fault, returns the attributes that plant it; raises
            :class:`NoChange` where that would change nothing.
    """

    name: str
    kinds: tuple[str, ...]
    checks: tuple[str, ...]
    change: Callable[[Any, Seen], Attributes]


MUTATORS: list[Mutator] = []
"""Every mutator, by the files that register them."""


def mutates(
    name: str, *kinds: str, check: str | tuple[str, ...]
) -> Callable[[Callable[[Any, Seen], Attributes]], Callable[[Any, Seen], Attributes]]:
    """Register a function as the fault of that name."""

    def register(change: Callable[[Any, Seen], Attributes]) -> Callable[[Any, Seen], Attributes]:
        MUTATORS.append(Mutator(name, kinds, (check,) if isinstance(check, str) else check, change))
        return change

    return register


@contextmanager
def planted(mutator: Mutator, cls: Any) -> Iterator[Seen]:
    """The class with a fault, for as long as the context lasts.

    The class itself is changed, so that whatever has imported it meets the fault, whenever it did.

    Raises:
        NoChange: the fault would change nothing.
    """
    seen = Seen()
    attributes = mutator.change(cls, seen)
    before = {name: vars(cls).get(name, _ABSENT) for name in attributes}
    for name, value in attributes.items():
        setattr(cls, name, value)
    try:
        yield seen
    finally:
        for name, value in before.items():
            if value is _ABSENT:
                delattr(cls, name)
            else:
                setattr(cls, name, value)


def after(cls: Any, name: str, change: Callable[..., Any], seen: Seen) -> Attributes:
    """A method whose result is changed: ``change(self, result, *arguments)``.

    Raises:
        NoChange: the class has no such method.
    """
    original = _method(cls, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        result = original(self, *args, **options)
        return seen(result, change(self, result, *args))

    return {name: method}


def before(cls: Any, name: str, change: Callable[..., tuple[Any, ...]], seen: Seen) -> Attributes:
    """A method whose arguments are changed: ``change(self, *arguments)``.

    Raises:
        NoChange: the class has no such method.
    """
    original = _method(cls, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        changed = change(self, *args)
        for old, new in zip(args, changed, strict=True):
            seen(old, new)
        return original(self, *changed, **options)

    return {name: method}


def replaced(cls: Any, name: str, instead: Callable[..., Any], seen: Seen) -> Attributes:
    """A method in whose place another is called: ``instead(self, original, *arguments)``.

    Raises:
        NoChange: the class has no such method.
    """
    original = _method(cls, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        return seen.surely(instead(self, functools.partial(original, self, **options), *args))

    return {name: method}


def reseeding(cls: Any, name: str, seen: Seen) -> Attributes:
    """A method that begins by setting the seed of all random numbers.

    Raises:
        NoChange: the class has no such method.
    """

    def method(self: Any, original: Any, *args: Any) -> Any:
        reseed(271)
        return original(*args)

    return replaced(cls, name, method, seen)


def constructed(cls: Any, change: Callable[[Any], None], seen: Seen, *, first: bool = False) -> Attributes:
    """A constructor that does something to what it makes, at its end or ``first``."""
    original = cls.__init__
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    if owner is object or owner.__module__.startswith("torch."):
        # Such a class has no options, whatever the constructor above it takes.
        def original(self: Any) -> None:  # type: ignore[no-redef]
            owner.__init__(self)

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if first:
            change(self)
        original(self, *args, **options)
        if not first:
            change(self)
        seen.surely(None)

    return {"__init__": __init__}


def _method(cls: Any, name: str) -> Any:
    method = inspect.getattr_static(cls, name, None)
    if not inspect.isfunction(method):
        raise NoChange(f"it has no method {name}")
    return method
