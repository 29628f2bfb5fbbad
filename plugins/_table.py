"""Records of built-in components, by folder: the file of each follows from its name."""

import os
from collections.abc import Mapping

from genmod import Component

__all__ = ["table", "tables_in"]


def table(
    kind: str,
    *rows: tuple[str, str, str],
    aliases: Mapping[str, str] = {},
    requires: Mapping[str, str] = {},
    revisions: Mapping[str, int] = {},
    opens: Mapping[str, tuple[str, ...]] = {},
    goes_with: Mapping[str, str] = {},
) -> tuple[Component, ...]:
    """The components of one folder: that of ``gated-mlp`` is in ``gated_mlp.py``.

    Args:
        kind: of all of them.
        rows: name, class and summary of each.
        aliases: another name for some.
        requires: a distribution that some need.
        revisions: of the options of some that have changed their meaning.
        opens: endings of the files that some datasets open.
        goes_with: options for the other parts that some need.

    Example:
        >>> table("encoder", ("gated-mlp", "GatedMlpEncoder", "gated linear layers"))[0].target
        'genmod.plugins.encoders.gated_mlp:GatedMlpEncoder'
    """
    folder = kind if kind.endswith("s") else f"{kind}s"
    return tuple(
        Component(
            kind,
            name,
            f"genmod.plugins.{folder}.{name.replace('-', '_')}:{cls}",
            summary,
            aliases=(aliases[name],) if name in aliases else (),
            requires=(requires[name],) if name in requires else (),
            revision=revisions.get(name, 1),
            opens=opens.get(name, ()),
            goes_with=goes_with.get(name, ""),
        )
        for name, cls, summary in rows
    )


def tables_in(kind: str, init: str, aliases: Mapping[str, str] = {}) -> tuple[Component, ...]:
    """The TOML files of a folder as components; each file begins with its summary.

    Args:
        kind: of all of them.
        init: path of the ``__init__.py`` of the folder.
        aliases: another name for some.
    """
    folder = os.path.dirname(init)
    names = sorted(file.removesuffix(".toml") for file in os.listdir(folder) if file.endswith(".toml"))
    return tuple(
        Component(
            kind,
            name,
            f"genmod.plugins.{kind}s:{name}.toml",
            _summary(os.path.join(folder, f"{name}.toml")),
            aliases=(aliases[name],) if name in aliases else (),
        )
        for name in names
    )


def _summary(path: str) -> str:
    """``summary = "…"`` of the first line: to parse all files takes 40 ms, to read one line of each takes 1."""
    with open(path, "rb") as lines:
        return lines.readline().decode().split('"')[1]
