"""``genmod plugin``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import kinds
from genmod.cli.options import Json
from genmod.registry.component import KINDS

__all__ = ["plugin"]


def plugin(
    action: Annotated[
        Literal["new"], typer.Argument(metavar="new", help="Write the package of a new plugin.")
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of its components; the package is genmod-NAME.")
    ],
    kind: Annotated[
        list[str],
        typer.Option(
            "--kind",
            metavar="KIND",
            help=f"A kind of component to start with, repeatable: {', '.join(KINDS)}.",
            autocompletion=kinds,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write it; by default ./genmod-NAME."),
    ] = None,
    json: Json = False,
) -> Path:
    """Start a plugin of your own.

    It is an installable package of working components with their tests. Nothing is overwritten.

    Examples:
      genmod plugin new student-t --kind decoder
      genmod plugin new spiral --kind dataset --kind recipe -o ~/spiral
    """
    from genmod.scaffold import new_plugin

    directory = new_plugin(name, kind, out)
    console.print_file(directory, json=json)
    return directory
