"""``genmod list``."""

from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import kinds
from genmod.cli.options import Json
from genmod.registry.component import KINDS

__all__ = ["list_components"]

_COLUMNS = ("kind", "name", "provider", "version", "summary", "aliases")


def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help=f"One of: {', '.join(KINDS)}.", autocompletion=kinds),
    ] = None,
    json: Json = False,
) -> None:
    """List the components.

    Examples:
      genmod list
      genmod list encoder
      genmod list recipe --json
    """
    from genmod.registry.clashes import clashes
    from genmod.registry.file_version import shortened
    from genmod.registry.lookup import current_registry

    registry = current_registry()
    rows = [
        (p.kind, name, p.distribution, p.version, p.component.summary, p.component.aliases)
        for each in ([kind] if kind is not None else KINDS)
        for name, p in zip(registry.names(each), registry.components(each), strict=True)
    ]
    if json:
        console.print_json({"components": [dict(zip(_COLUMNS, row, strict=True)) for row in rows]})
    else:
        console.print_table(
            _COLUMNS,
            [
                (kind, name, distribution, shortened(version), summary, ", ".join(aliases))
                for kind, name, distribution, version, summary, aliases in rows
            ],
        )
    for clash in clashes(registry.components(kind)):
        console.warning(f"{clash}: write {clash.write}")
    failed = sum(status.status in ("broken", "incompatible") for status in registry.plugins())
    if failed:
        console.warning(f"{failed} plugin{'s' * (failed > 1)} failed to load, see: genmod plugins")
