"""``genmod pull``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.options import Json

__all__ = ["pull"]


def pull(
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository on the Hub.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The folder to make.", show_default="./NAME"),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Branch, tag or commit that it is taken from.", show_default="main"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take a model from the Hugging Face Hub.

    It becomes a model directory for all commands, once it has been loaded: nothing of it is executed, checksums and sizes are
    checked, and files that no model has are left where they are. With --offline it is taken from the cache.

    Examples:
      genmod pull me/digits
      genmod pull me/digits --revision v2 -o digits-2
    """
    from genmod.hub import pull as take

    done = take(repository, out, revision=revision, quiet=console.settings.quiet)
    if done.left:
        few = ", ".join(done.left[:5]) + (", …" if len(done.left) > 5 else "")
        console.note(f"left where they are, {len(done.left)} files that no model of genmod has: {few}")
    console.note(f"commit {done.revision}")
    if json:
        console.print_json(
            {
                "directory": str(done.path),
                "revision": done.revision,
                "files": done.files,
                "left": list(done.left),
            }
        )
    else:
        console.print_text(str(done.path))
