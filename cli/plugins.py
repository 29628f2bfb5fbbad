"""``genmod plugins``."""

from dataclasses import asdict
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.options import Json

__all__ = ["plugins"]


def plugins(
    json: Json = False,
    requirements: Annotated[
        bool, typer.Option("--requirements", help="Print the lines that install the same plugins again.")
    ] = False,
) -> None:
    """List the installed plugins and their status.

    Examples:
      genmod plugins
      genmod plugins --json
      genmod plugins --requirements > requirements.txt
    """
    from genmod.registry.lookup import current_registry

    registry = current_registry()
    if requirements:
        if json:
            console.print_json({"requirements": registry.requirements()})
        else:
            for line in registry.requirements():
                console.print_text(line)
        return
    found = registry.plugins()
    if json:
        console.print_json({"plugins": [asdict(status) for status in found]})
        return
    console.print_table(
        ["plugin", "version", "status", "components", "ms", "imports at load", "reason", "remedy"],
        [
            (
                status.distribution,
                status.version,
                status.status,
                len(status.components),
                f"{status.load_ms:.1f}",
                ", ".join(status.imports_heavy),
                status.reason,
                status.hint,
            )
            for status in found
        ],
    )
