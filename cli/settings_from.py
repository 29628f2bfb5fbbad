"""Settings of a command: those that are typed, then those of files and of the environment."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genmod.cli import console

__all__ = ["build_settings", "holds_train_settings", "in_all_commands", "train_settings"]

TYPED = "command line"


def train_settings(typed: Mapping[str, Any], config: Path | None, *, from_files: bool) -> dict[str, Any]:
    """The settings of a run that are not the default; says which are not typed, and where they are from.

    Args:
        typed: by name.
        config: a file that was typed.
        from_files: whether files of the project and the user, and the environment, count.

    Raises:
        UsageError, FileError: as :func:`genmod.configuration.layers.from_file`.
    """
    from genmod.configuration.layers import Setting, from_file, holding, layers

    below = layers() if from_files else []
    own = [] if config is None else from_file(config, of_a_model=True)
    given = [Setting(f"train.{name}", value, TYPED) for name, value in typed.items()]
    found = {
        path: setting for path, setting in holding([*below, own, given]).items() if path.startswith("train.")
    }
    _say("train", found)
    return {path.removeprefix("train."): _frozen(setting.value) for path, setting in found.items()}


def build_settings(*, recipe: bool, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What ``genmod build`` starts from by files of the project and the user, and the environment; says what that is.

    Args:
        recipe: whether a recipe or a source is typed. It takes the place of recipe, parts and latents of the files.
        typed: parts, by kind; they are added to those of the files, under ``parts``.

    Raises:
        UsageError, FileError: as :func:`genmod.configuration.layers.from_file`.
    """
    from genmod.configuration.layers import Setting, holding, layers
    from genmod.spec import PART_KINDS, SPEC_KINDS

    found = {path: each for path, each in holding(layers()).items() if path.startswith("build.")}
    if recipe:
        found = {path: each for path, each in found.items() if path == "build.seed"}
    if "model" in typed:
        found = {
            path: each
            for path, each in found.items()
            if path.partition(".")[2] not in (*PART_KINDS, "latent")
        }
    for kind, name in typed.items():
        below = found.get(f"build.{kind}")
        same = below is not None and isinstance(below.value, Mapping) and below.value.get("name") == name
        found[f"build.{kind}"] = Setting(f"build.{kind}", below.value if below and same else name, TYPED)
    _say("build", found)
    values = {path.removeprefix("build."): setting.value for path, setting in found.items()}
    parts = {kind: values.pop(kind) for kind in SPEC_KINDS if kind in values}
    return {**values, "parts": parts}


def holds_train_settings(path: Path) -> bool:
    """Whether a file that describes a model has settings of its training, which are checked.

    Raises:
        UsageError, FileError: as :func:`genmod.configuration.layers.from_file`.
    """
    from genmod.configuration.layers import from_file

    return any(setting.path.startswith("train.") for setting in from_file(path, of_a_model=True))


@contextmanager
def in_all_commands(*, offline: bool, no_cache: bool, opens_data: Callable[[], bool]) -> Iterator[None]:
    """Context in which the folder of data, and whether anything may be downloaded, are as typed or as files say.

    Args:
        offline: whether it was typed.
        no_cache: whether it was typed; nothing that was found out about pictures is kept then.
        opens_data: whether the command does; then it says which folder a project has chosen.
    """
    from genmod.configuration.places import project_file, user_file

    wanted = {"GENMOD_OFFLINE": "1"} if offline else {}
    if no_cache:
        wanted["GENMOD_CACHE"] = "0"
    project = project_file()
    if project or user_file():
        from genmod.configuration.layers import holding, layers

        found = holding(layers())
        if "data_root" in found and found["data_root"].origin == str(project) and opens_data():
            _say("", {"data_root": found["data_root"]})
        if "data_root" in found:
            wanted.setdefault("GENMOD_DATA", str(found["data_root"].value))
        if "offline" in found:
            wanted.setdefault("GENMOD_OFFLINE", "1" if found["offline"].value else "0")
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _say(command: str, found: Mapping[str, Any]) -> None:
    from genmod.configuration.names import spelled
    from genmod.options.text import option_text

    by_origin: dict[str, list[str]] = {}
    for path, setting in found.items():
        if setting.origin != TYPED:
            name = spelled(path.removeprefix(f"{command}."))
            by_origin.setdefault(setting.origin, []).append(f"{name} {option_text(setting.value)}")
    for origin, texts in by_origin.items():
        console.note(f"settings from {_near(origin)}: {', '.join(texts)}")


def _near(origin: str) -> str:
    """A path as it is seen from here, where that is shorter."""
    path = Path(origin)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else origin


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
