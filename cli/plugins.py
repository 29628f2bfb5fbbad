"""``genmod plugins``."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from genmod.cli import console
from genmod.cli.options import Json

if TYPE_CHECKING:
    from genmod.registry.clashes import Clash
    from genmod.registry.loader import PluginStatus

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
    from genmod.registry.clashes import clashes
    from genmod.registry.file_version import shortened
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
    clashing = clashes(registry.components())
    if json:
        told = [
            {**asdict(status), "clashes": [asdict(each) for each in _of(status, clashing)]}
            for status in found
        ]
        console.print_json({"plugins": told})
        return
    console.print_table(
        ["plugin", "version", "status", "components", "ms", "imports at load", "reason", "remedy"],
        [
            (
                status.distribution,
                shortened(status.version),
                status.status,
                len(status.components),
                f"{status.load_ms:.1f}",
                ", ".join(status.imports_heavy),
                "; ".join(filter(None, [status.reason, *map(str, _of(status, clashing))])),
                "; ".join(
                    filter(None, [status.hint, *(f"write {each.write}" for each in _of(status, clashing))])
                ),
            )
            for status in found
        ],
    )


def _of(status: "PluginStatus", clashing: "Iterable[Clash]") -> "list[Clash]":
    """The clashes of the names of one plugin."""
    names = {(each.kind, name) for each in status.components for name in (each.name, *each.aliases)}
    return [
        each
        for each in clashing
        if each.distribution == status.distribution and (each.kind, each.name) in names
    ]
