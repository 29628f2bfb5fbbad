"""Where files of settings are. Nothing here is slow to import: most commands find that there is none."""

import os
import re
from pathlib import Path

from genmod.system.files import read_text

__all__ = ["PROJECT", "PYPROJECT", "project_file", "user_file"]

PROJECT, PYPROJECT = "genmod.toml", "pyproject.toml"
_TABLE = re.compile(r"""\btool["']?\s*\.\s*["']?genmod\b""")


def user_file() -> Path | None:
    """The user's settings, ``~/.config/genmod/config.toml`` or below ``$XDG_CONFIG_HOME``; None if there are none."""
    path = user_path()
    # Of somebody without a home, "~" is a folder of the current one. What may not be looked at counts as missing.
    return path if path.is_absolute() and os.path.isfile(path) else None


def user_path() -> Path:
    """Where the user's settings belong."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # A path that is not absolute does not count, as the XDG rules say.
    folder = given if given.is_absolute() else Path(os.path.expanduser("~/.config"))
    return folder / "genmod" / "config.toml"


def project_file(start: Path | None = None) -> Path | None:
    """The settings of the project: the nearest ``genmod.toml``, or ``pyproject.toml`` with a table ``[tool.genmod]``.

    They are looked for in the current folder and, within a git repository, in the folders above up to its root: a file that
    somebody put into a folder above that all users share is never read.

    Raises:
        FileError: a file cannot be read.
    """
    here = (start or Path.cwd()).absolute()
    above = [here, *here.parents]
    root = next((n for n, folder in enumerate(above) if os.path.exists(folder / ".git")), 0)
    for folder in above[: root + 1]:
        if os.path.isfile(folder / PROJECT):
            return folder / PROJECT
        own = folder / PYPROJECT
        if os.path.isfile(own) and _TABLE.search(read_text(own, "project", limit=_MOST)):
            return own
    return None


_MOST = 10_000_000
