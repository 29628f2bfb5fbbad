"""Paths of the user's machine, which do not go up with a model: of each the last name stays."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

__all__ = ["looks_private", "without_folders"]

_OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|[A-Za-z][\w+.-]*://")
_UPWARDS = re.compile(r"(^|[/\\])\.\.([/\\]|$)")


def looks_private(text: str) -> bool:
    """Whether a text is a path that begins at the root, at a home, on a drive or on a server, or that leads upwards.

    Example:
        >>> looks_private("/home/ann/x.npz"), looks_private("data/x.npz"), looks_private("../x.npz")
        (True, False, True)
    """
    return bool(_OUTSIDE.match(text) or _UPWARDS.search(text))


def without_folders(value: Any, where: str = "") -> tuple[Any, dict[str, str]]:
    """Plain data with the last name in place of each private path, and what was changed: place → name that stayed.

    Example:
        >>> without_folders({"path": "/home/ann/x.npz", "size": 3}, "dataset")
        ({'path': 'x.npz', 'size': 3}, {'dataset.path': 'x.npz'})
    """
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        if not looks_private(value):
            return value, {}
        name = PurePosixPath(PureWindowsPath(value).as_posix()).name
        name = "" if name == ".." or looks_private(name) else name
        return name, {where: name}
    if isinstance(value, Mapping):
        parts = {
            key: without_folders(each, f"{where}.{key}" if where else key) for key, each in value.items()
        }
        changed = {place: name for _, found in parts.values() for place, name in found.items()}
        return {key: each for key, (each, _) in parts.items()}, changed
    if isinstance(value, list | tuple):
        items = [without_folders(each, f"{where}[{index}]") for index, each in enumerate(value)]
        return [each for each, _ in items], {
            place: name for _, found in items for place, name in found.items()
        }
    return value, {}
