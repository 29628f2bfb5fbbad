"""Errors that users can cause, each with a hint.

All are subclasses of :class:`GenmodError`: the message says what was given and what is allowed, the ``hint`` what to
type next. The command line prints both without a traceback and exits with ``exit_code``.
"""

import shlex
from typing import Any

__all__ = [
    "ChoiceWarning",
    "DataError",
    "DataWarning",
    "FileError",
    "GenmodError",
    "GivenWarning",
    "PluginError",
    "PluginWarning",
    "UndefinedError",
    "UsageError",
    "quoted",
]


def quoted(word: object) -> str:
    """A path, a name or a value quoted as one word of a shell, for commands in messages.

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
        # Errors are sent between the processes of a run, and must keep their hint.
        return _restored, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def _restored(cls: type[GenmodError], message: str, hint: str) -> GenmodError:
    error = cls.__new__(cls)
    GenmodError.__init__(error, message, hint=hint)
    return error


class UsageError(GenmodError, ValueError):
    """An invalid name, option, combination of components, or command line."""

    exit_code = 2


class UndefinedError(UsageError):
    """A quantity that this model does not have, such as samples of a model without a prior."""


class DataError(UsageError):
    """Data that are missing or unreadable, or do not have the declared shape or range."""


class DataWarning(UserWarning):
    """Data that may be read in another way than the user expects."""


class ChoiceWarning(UserWarning):
    """A part of a model that nobody named was chosen to fit those that somebody did."""


class PluginWarning(UserWarning):
    """A plugin that is another one now than a model was saved with, and that the user accepts."""


class GivenWarning(UserWarning):
    """A model with classes that were given in Python, which cannot be loaded by name."""


class FileError(UsageError):
    """A file that is missing, damaged or not written by genmod, or that cannot be written."""


class PluginError(GenmodError):
    """A plugin that is missing, broken, or of the wrong version."""

    exit_code = 3
