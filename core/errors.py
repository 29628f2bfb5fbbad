"""What can go wrong, by what the user has to do about it.

Every error that a user can cause is a :class:`GenmodError`: its text says what was given and what is
allowed, its ``hint`` what to type next. The command line prints both without a traceback and exits with
``exit_code``.
"""

import shlex
from typing import Any

__all__ = [
    "DataError",
    "DataWarning",
    "FileError",
    "GenmodError",
    "PluginError",
    "UndefinedError",
    "UsageError",
    "quoted",
]


def quoted(word: object) -> str:
    """A path, a name or a value as a shell takes it for one word, in a line that a message offers for copying.

    Example:
        >>> f"genmod train {quoted('my model; ls')}"
        "genmod train 'my model; ls'"
    """
    return shlex.quote(str(word))


class GenmodError(Exception):
    """The work failed.

    Args:
        message: what was given, what is allowed.
        hint: what to type or do next; may span several lines.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between the processes of a run, and the hint goes with them.
        return _restored, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def _restored(cls: type[GenmodError], message: str, hint: str) -> GenmodError:
    error = cls.__new__(cls)
    GenmodError.__init__(error, message, hint=hint)
    return error


class UsageError(GenmodError, ValueError):
    """A name, an option, a combination or a command line that cannot work."""

    exit_code = 2


class UndefinedError(UsageError):
    """A quantity that this model does not have, such as samples of a model without a prior."""


class DataError(UsageError):
    """Data that is missing, unreadable, or does not have the shape or range that was declared."""


class DataWarning(UserWarning):
    """Data that are read in a way which may not be what is wanted."""


class FileError(UsageError):
    """A file of a model directory that is missing, damaged or not ours, or that may not be written."""


class PluginError(GenmodError):
    """A plugin that is missing, broken, or of the wrong version."""

    exit_code = 3
