"""Where in an author's file an error came from, and which checks met the same one."""

import sys
import sysconfig
from dataclasses import dataclass
from linecache import getline
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch

import genmod
from genmod.errors import PluginError
from genmod.testing.check import CheckFailed

__all__ = ["Cause", "cause_of"]

_OWN = Path(genmod.__file__).parent
_FOREIGN = (
    _OWN,
    Path(torch.__file__).parent,
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
)


@dataclass(frozen=True)
class Cause:
    """An error of a component, and the line of its author that it came from.

    Two are the same where both are: a message may differ from shape to shape.

    Args:
        kind: name of the type of the error.
        file: where that line is.
        line: its number.
    """

    kind: str
    file: str
    line: int

    def __str__(self) -> str:
        """``file:line: source``, with a short path where it is below the current folder."""
        path = Path(self.file)
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}: {getline(self.file, self.line).strip()}"


def cause_of(error: BaseException | None, cls: Any = None) -> Cause | None:
    """The error that a check met in the component, with the author's line; None where it met none.

    A law that does not hold is no error, unless it failed because of one.

    Args:
        error: what the check raised.
        cls: the class that is checked; files beside its own are its author's, wherever they are installed.
    """
    while isinstance(error, CheckFailed):
        error = error.__cause__
    if error is None:
        return None
    if isinstance(error, PluginError) and error.__cause__ is not None:
        error = error.__cause__
    module = sys.modules.get(getattr(cls, "__module__", ""))
    home = Path(file) if (file := getattr(module, "__file__", None)) else None
    if home is not None and home.parent not in _FOREIGN:
        home = home.parent
    found = None
    for frame, line in walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if _is_of_the_author(path, home):
            found = Cause(type(error).__name__, str(path), line)
    return found


def _is_of_the_author(path: Path, home: Path | None) -> bool:
    foreign = [each for each in _FOREIGN if path.is_relative_to(each)]
    if home is not None and path.is_relative_to(home):
        # Built-in components lie within genmod, plugins among installed packages; an environment may lie beside a file.
        return not any(each.is_relative_to(home) for each in foreign)
    return path.is_file() and not foreign
