"""Names of files, classes and metrics in pictures, whatever signs they have."""

import re

from genmod.system.letters import in_lines

__all__ = ["drawable", "printable"]

_LONGEST = 80


def printable(name: str) -> str:
    """A name that can be drawn: bytes that are no UTF-8 and control characters replaced, its middle left out if it is long.

    Example:
        >>> printable("a\\udcffb"), len(printable("n" * 1000))
        ('a�b', 80)
    """
    half = _LONGEST // 2
    name = name if len(name) <= _LONGEST else f"{name[:half]}…{name[1 - half :]}"
    return in_lines(re.sub("[\ud800-\udfff]", "�", name))


def drawable(name: str) -> str:
    """A name for matplotlib, which reads what stands between two dollars as a formula.

    Example:
        >>> drawable("$x$")
        '\\\\$x\\\\$'
    """
    from matplotlib import rcParams

    # Where there are no formulas, the sign before a dollar would be drawn.
    return printable(name).replace("$", r"\$") if rcParams["text.parse_math"] else printable(name)
