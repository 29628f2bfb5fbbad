"""Copying the files of a model into a folder beside them."""

import os
import shutil
from pathlib import Path
from typing import Any

from genmod.system.files import OWN_SUFFIXES

__all__ = ["files_of_others", "link"]


def files_of_others(folder: str, names: list[str]) -> list[str]:
    """Names of the files that genmod did not write, for ``shutil.copytree``."""
    return [name for name in names if Path(folder, name).is_file() and Path(name).suffix not in OWN_SUFFIXES]


def link(source: Any, target: Any) -> None:
    """A hard link in place of a copy: genmod replaces its files and never changes them."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)
