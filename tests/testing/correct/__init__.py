"""Components that are right, however unusual, by kind: no check may fail for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Right:
    """A right component.

    Args:
        target: what is checked.
        options: by their names, such as ``{"width": 3}``.
        files: writes what it reads into a folder, and returns further options that say where.
        always: whether it runs by default too; of the others, each has one of its kind that does.
    """

    target: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Callable[[Path], Mapping[str, Any]] | None = None
    always: bool = False


CORRECT: list[Right] = []


def right(*, files=None, always=False, **options):
    """Enter a class among the right ones, with these options: ``@right()``."""

    def enter(cls):
        cls.__doc__ = cls.__doc__ or "Something; raises UsageError."
        CORRECT.append(Right(cls, options, files, always))
        return cls

    return enter
