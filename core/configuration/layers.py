"""Which setting holds, of those in files, in the environment and on the command line, and where it is from."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genmod.configuration.names import from_environment, from_table
from genmod.configuration.places import PYPROJECT, project_file, user_file, user_path
from genmod.errors import UsageError
from genmod.system.files import read_text
from genmod.system.toml import parse_toml

__all__ = ["Setting", "from_file", "holding", "layers"]

_INSTEAD = {"train.steps": "train.epochs", "train.epochs": "train.steps"}
"""A setting that is given in place of another, which then no longer holds."""

_OWNER = {"train.optimizer": "train.optimizer_options", "train.schedule": "train.schedule_options"}


@dataclass(frozen=True)
class Setting:
    """A setting that was given.

    Args:
        path: ``train.lr``, ``build.encoder``, ``offline``.
        value: as in TOML.
        origin: path of the file, name of the variable, or ``command line``.
    """

    path: str
    value: Any
    origin: str


def from_file(path: Path, *, of_a_model: bool = False, text: str | None = None) -> list[Setting]:
    """The settings in a file; of ``pyproject.toml`` those in its table ``[tool.genmod]``.

    Args:
        path: of the file.
        of_a_model: whether the file may also describe a model.
        text: what stands there, where it has been read already.

    Raises:
        FileError: it cannot be read.
        UsageError: it is no TOML, too long, or has unknown entries or values that are not allowed.
    """
    table = parse_toml(read_text(path, "settings") if text is None else text, str(path))
    if path.name == PYPROJECT:
        tool = table.get("tool")
        own = tool.get("genmod") if isinstance(tool, Mapping) else None
        table, of_a_model = dict(own) if isinstance(own, Mapping) else {}, False
    found = from_table(table, str(path), folder=path.absolute().parent, of_a_model=of_a_model)
    return [Setting(name, value, str(path)) for name, value in found.items()]


def layers(variables: Mapping[str, str] = os.environ) -> list[list[Setting]]:
    """The settings of the user, of the project and of the environment, each of which holds before those in front of it.

    A project, which may be a stranger's, gives trackers no options, starts no more workers than there are processors, and
    does not undo ``offline = true`` of the user.

    Raises:
        UsageError, FileError: as :func:`from_file`, for a variable too; or a project gives options to a tracker.
    """
    paths = user_file(), project_file()
    user, project = (from_file(path) if path is not None else [] for path in paths)
    offline = any(setting.path == "offline" and setting.value for setting in user)
    project = [
        setting for setting in map(_of_a_project, project) if not (offline and setting.path == "offline")
    ]
    there = from_environment(variables)
    return [user, project, [Setting(path, value, variable) for path, (variable, value) in there.items()]]


def _of_a_project(setting: Setting) -> Setting:
    """A setting that a repository may have from a stranger: it sends nothing anywhere, and starts no crowd of processes."""
    if setting.path == "train.trackers" and (own := [each for each in setting.value if ":" in each]):
        raise UsageError(
            f"{setting.origin}: train.trackers is {own[0]!r:.60}; options of a tracker, which may say where numbers are sent, "
            "are not taken from the file of a project",
            hint=f"remove it there, and put it into your own file {user_path()}, or type --tracker or --config FILE",
        )
    if setting.path == "train.workers":
        return replace(setting, value=min(setting.value, os.cpu_count() or 1))
    return setting


def holding(given: Iterable[Sequence[Setting]]) -> dict[str, Setting]:
    """The settings that hold, by path.

    A later layer replaces what an earlier one says: steps replace epochs, and another optimizer or schedule the options
    of the one before.

    Example:
        >>> low = [Setting("train.epochs", 5, "a.toml"), Setting("train.lr", 0.1, "a.toml")]
        >>> {path: each.value for path, each in holding([low, [Setting("train.steps", 9, "b.toml")]]).items()}
        {'train.lr': 0.1, 'train.steps': 9}
    """
    found: dict[str, Setting] = {}
    for layer in given:
        paths = {setting.path for setting in layer}
        for setting in layer:
            other = _INSTEAD.get(setting.path)
            if other is not None and other not in paths:
                found.pop(other, None)
            before = found.get(setting.path)
            if setting.path in _OWNER and (before is None or before.value != setting.value):
                found.pop(_OWNER[setting.path], None)
        for setting in layer:
            before = found.get(setting.path)
            if before is not None and setting.path in _OWNER.values():
                setting = Setting(setting.path, {**before.value, **setting.value}, setting.origin)
            found[setting.path] = setting
    return found
