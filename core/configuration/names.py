"""The settings that files and variables may hold, by path, and what their values may be."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genmod.errors import UsageError
from genmod.options.text import plain_value
from genmod.options.values import closest
from genmod.spec import SPEC_KINDS, ComponentSpec, ModelSpec
from genmod.training.settings import TrainSettings

__all__ = ["BUILD", "GENERAL", "TABLES", "TRAIN", "from_environment", "from_table", "spelled"]

GENERAL = ("data_root", "offline")
"""Settings of all commands, and the variables ``GENMOD_DATA`` and ``GENMOD_OFFLINE``."""

TRAIN = tuple(name for name in TrainSettings.names() if not name.endswith("_options"))
BUILD = ("recipe", "latent", "condition", "seed", *SPEC_KINDS)
TABLES = {"train": TRAIN, "build": BUILD}
"""The tables of a file, and the settings in each: those of the commands of the same names."""

_VARIABLES = {"GENMOD_DATA": "data_root", "GENMOD_OFFLINE": "offline"}
_OF_A_MODEL = ("summary", "paper", "latent", "condition", "sweep", *SPEC_KINDS)
"""Further entries of a file that describes a model, or a sweep."""

_WITH_OPTIONS = ("optimizer", "schedule")
_LISTS = ("augment", "freeze", "trackers")
_TEXTS = ("device", "precision", "strategy", *_WITH_OPTIONS)
_SWITCHES = ("checkpoint_activations", "compile", "deterministic", "offline")
_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def spelled(path: str) -> str:
    """A path as it is written in files: ``train.batch_size`` is ``train.batch-size``."""
    return path.replace("_", "-")


def from_table(
    table: Mapping[str, Any], where: str, *, folder: Path | None = None, of_a_model: bool = False
) -> dict[str, Any]:
    """The settings in a TOML table, by path, such as ``train.lr``.

    Args:
        table: the content of a file.
        where: name of the file, for messages.
        folder: of the file; a relative ``data-root`` starts there.
        of_a_model: whether the file may also describe a model, as ``genmod build FILE.toml`` reads it.

    Raises:
        UsageError: unknown entries, or values that are not allowed.

    Example:
        >>> from_table({"train": {"batch-size": 64, "optimizer": {"name": "sgd", "momentum": 0.9}}}, "it")
        {'train.batch_size': 64, 'train.optimizer': 'sgd', 'train.optimizer_options': {'momentum': 0.9}}
    """
    wrong: list[str] = []
    found: dict[str, Any] = {}
    known = [*GENERAL, *TABLES, *(_OF_A_MODEL if of_a_model else ())]
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in TABLES and isinstance(value, Mapping):
            found |= _of_command(name, value, wrong)
        elif name in TABLES:
            wrong.append(f"{key} is {value!r:.60}, not a table; write [{key}]")
        elif name in GENERAL:
            found[name] = value
        elif name not in known:
            wrong.append(_unknown(key, known))
    if "data_root" in found:
        if isinstance(found["data_root"], str):
            path = Path(found["data_root"]).expanduser()
            found["data_root"] = str(folder / path if folder is not None else path)
        else:
            wrong.append(f"data-root is {found['data_root']!r:.60}; it must be a text, the path of a folder")
    if not isinstance(found.get("offline", False), bool):
        wrong.append(f"offline is {found['offline']!r:.60}; it must be true or false")
    wrong += _wrong_values(found)
    if wrong:
        raise UsageError(f"{where}: " + "\n".join(wrong), hint="genmod config lists all settings")
    return found


def from_environment(variables: Mapping[str, str] = os.environ) -> dict[str, tuple[str, Any]]:
    """Path → variable and value, of the variables ``GENMOD_TRAIN_…``, ``GENMOD_BUILD_…``, ``GENMOD_DATA``, ``GENMOD_OFFLINE``.

    Raises:
        UsageError: an unknown name, or a value that is not allowed.

    Example:
        >>> from_environment({"GENMOD_TRAIN_LR": "0.01"})
        {'train.lr': ('GENMOD_TRAIN_LR', 0.01)}
    """
    found: dict[str, tuple[str, Any]] = {}
    for variable, text in sorted(variables.items()):
        if variable in _VARIABLES:
            if text:
                found[_VARIABLES[variable]] = (variable, _read(_VARIABLES[variable], text))
            continue
        for table, names in TABLES.items():
            beginning = f"GENMOD_{table.upper()}_"
            if not variable.startswith(beginning):
                continue
            name = variable.removeprefix(beginning).lower()
            if name not in names:
                meant = closest(name, list(names))
                raise UsageError(
                    f"{variable}: no such setting of genmod {table}"
                    + (f"; did you mean {beginning}{meant.upper()}?" if meant else ""),
                    hint="genmod config lists all settings",
                )
            found[f"{table}.{name}"] = (variable, _read(name, text))
    for path, (variable, value) in found.items():
        if wrong := list(_wrong_values({path: value})):
            raise UsageError(f"{variable}: " + "\n".join(wrong), hint="genmod config lists all settings")
    return found


def _of_command(command: str, table: Mapping[str, Any], wrong: list[str]) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in TABLES[command]:
            wrong.append(_unknown(f"{command}.{key}", [f"{command}.{each}" for each in TABLES[command]]))
        elif command == "train" and name in _WITH_OPTIONS and isinstance(value, Mapping):
            # As parts of a model are written: a name and its options in one table.
            options = dict(value)
            if "name" in options:
                found[f"train.{name}"] = options.pop("name")
            found[f"train.{name}_options"] = options
        elif command == "train" and name == "precision" and value == 32:
            found["train.precision"] = "32"
        else:
            found[f"{command}.{name}"] = value
    return found


def _wrong_values(found: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with values, each by itself."""
    for path, value in found.items():
        command, _, name = path.partition(".")
        try:
            if command == "train":
                # The parts of a batch have to divide it; whether they do is known when all settings are.
                more = {"batch_size": value} if name == "accumulate" and type(value) is int else {}
                TrainSettings(**{name: value, **more})
            elif name == "latent":
                ModelSpec().with_latent(value)
            elif name == "condition":
                ModelSpec().with_condition(value)
            elif name == "seed":
                TrainSettings(seed=value)
            elif name == "recipe" and not isinstance(value, str):
                yield f"build.recipe is {value!r:.60}, not a name"
            elif name in SPEC_KINDS:
                ComponentSpec.from_plain(name, value)
        except UsageError as error:
            lines = error.message.removeprefix("invalid settings:\n").splitlines()
            message = next((line for line in lines if line.startswith(f"{name} ")), lines[0])
            yield message.replace(f"{name} ", f"{spelled(path)} ", 1)


def _unknown(given: str, known: list[str]) -> str:
    meant = closest(given, list(map(spelled, known)))
    return f"{given}: no such setting" + (f"; did you mean {meant}?" if meant else "")


def _read(name: str, text: str) -> Any:
    """The value of a variable."""
    if name in _LISTS:
        value = plain_value(text)
        return value if isinstance(value, list) else [text]
    if name in _SWITCHES:
        low = text.strip().lower()
        return True if low in _ON else False if low in _OFF else text
    return text if name in (*_TEXTS, *BUILD[:3], *SPEC_KINDS, "data_root") else plain_value(text)
