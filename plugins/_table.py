"""Records of built-in components, by folder: the file of each follows from its name."""

from collections.abc import Mapping

from genmod import Component

__all__ = ["table"]


def table(
    kind: str,
    *rows: tuple[str, str, str],
    aliases: Mapping[str, str] = {},
    requires: Mapping[str, str] = {},
    revisions: Mapping[str, int] = {},
) -> tuple[Component, ...]:
    """The components of one folder: that of ``gated-mlp`` is in ``gated_mlp.py``.

    Args:
        kind: of all of them.
        rows: name, class and summary of each.
        aliases: another name for some.
        requires: a distribution that some need.
        revisions: of the options of some that have changed their meaning.

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
        )
        for name, cls, summary in rows
    )
