"""``genmod config``."""

from pathlib import Path
from typing import Any

import typer

from genmod.cli import console
from genmod.cli.options import Json
from genmod.errors import GenmodError

__all__ = ["config"]


def config(json: Json = False) -> None:
    """Show the settings that hold, and where each is from.

    What is typed holds before `--config FILE`, that before variables such as GENMOD_TRAIN_LR, these before the
    project's genmod.toml or [tool.genmod] of pyproject.toml, and that before the user's config.toml. A project is
    the current folder, or the git repository around it. [train] has settings of `genmod train`, [build] what
    `genmod build` starts from where no recipe is typed; data-root and offline stand above both.

    Examples:
      genmod config
      genmod config --json
    """
    from genmod.configuration.layers import holding, layers
    from genmod.configuration.names import spelled
    from genmod.configuration.places import project_file, user_file, user_path
    from genmod.options.text import option_text

    wrong: GenmodError | None = None
    try:
        found = holding(layers())
    except GenmodError as error:
        if json:
            raise
        # Its hint is this command, for the names that there are.
        found, wrong = {}, error
    rows: dict[str, tuple[Any, str]] = {path: (value, "default") for path, value in _defaults().items()}
    rows |= {path: (each.value, each.origin) for path, each in found.items()}
    files = {} if wrong else {"project": project_file(), "user": user_file()}
    if json:
        settings = {path: {"value": value, "from": origin} for path, (value, origin) in rows.items()}
        console.print_json(
            {"files": {name: path and str(path) for name, path in files.items()}, "settings": settings}
        )
        return
    console.print_table(
        ["setting", "value", "from"],
        [[spelled(path), option_text(value), origin] for path, (value, origin) in rows.items()],
    )
    if wrong is not None:
        console.error(wrong.message, "mend it there; these are the settings by default, with their names")
        raise typer.Exit(wrong.exit_code)
    if files["project"] is None:
        console.note(f"no settings of this project: {Path.cwd() / 'genmod.toml'}")
    if files["user"] is None:
        console.note(f"no settings of the user: {user_path()}")


def _defaults() -> dict[str, Any]:
    from genmod.defaults import RECIPE
    from genmod.system.data_root import default_root
    from genmod.training.settings import TrainSettings

    plain = TrainSettings().to_json()
    train = {f"train.{name}": value for name, value in plain.items() if not name.endswith("_options")}
    return {"data_root": str(default_root()), "offline": False, "build.recipe": RECIPE, **train}
