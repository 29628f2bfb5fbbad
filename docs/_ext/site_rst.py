"""Pieces of reStructuredText for generated pages."""

import re
from collections.abc import Iterable, Sequence
from textwrap import dedent

__all__ = ["code", "escaped", "linked", "sections", "table", "title"]

_SINGULAR = {"Examples": "Example", "References": "Reference"}
_SECTION = re.compile(r"^(Args|Raises|Returns|Yields|Examples?|References?):$", re.MULTILINE)


def title(text: str, sign: str = "=") -> str:
    """A heading.

    Example:
        >>> print(title("Options", "-"))
        Options
        -------
        <BLANKLINE>
    """
    return f"{text}\n{sign * len(text)}\n"


def escaped(text: str) -> str:
    """Plain text, in which nothing is markup but code between backticks.

    Example:
        >>> print(escaped("a * b of `x_`"))
        a \\* b of ``x_``
    """
    pieces = re.split(r"(`+[^`]+`+)", text)
    return "".join(
        f"``{piece.strip('`')}``" if at % 2 else re.sub(r"([\\*|_`])", r"\\\1", piece)
        for at, piece in enumerate(pieces)
    )


def linked(text: str) -> str:
    """References with links to where they can be read.

    Example:
        >>> linked("Auto-Encoding Variational Bayes (2013), arXiv:1312.6114")
        'Auto-Encoding Variational Bayes (2013), `arXiv:1312.6114 <https://arxiv.org/abs/1312.6114>`__'
    """
    text = re.sub(r"(?<![`/<])arXiv:(\d{4}\.\d{4,5})", r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)
    text = re.sub(r"(?<![`/<])doi:(10\.[^\s;,]+[^\s;,.])", r"`doi:\1 <https://doi.org/\1>`__", text)
    return re.sub(
        r"openreview ([A-Za-z0-9_-]{8,})", r"`openreview \1 <https://openreview.net/forum?id=\1>`__", text
    )


def code(text: str, language: str, *, look: str = "") -> str:
    """A block of code, with a class for the style sheet."""
    inside = "\n".join(f"   {line}".rstrip() for line in text.rstrip().splitlines())
    option = f"   :class: {look}\n" if look else ""
    return f".. code-block:: {language}\n{option}\n{inside}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], widths: str = "auto") -> str:
    """A table whose cells are markup."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: names", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        for at, cell in enumerate(row):
            text = cell.replace("\n", " ").strip()
            lines.append(f"   {'* -' if at == 0 else '  -'} {text}".rstrip())
    return "\n".join(lines) + "\n"


def sections(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's text, and its sections by name, their indentation removed.

    Example:
        >>> sections("A layer.\\n\\nReference:\\n    A paper")
        ('A layer.', {'Reference': 'A paper'})
    """
    text, *found = _SECTION.split(doc)
    bodies = [dedent(body.strip("\n")).strip() for body in found[1::2]]
    names = [_SINGULAR.get(name, name) for name in found[::2]]
    return text.strip(), dict(zip(names, bodies, strict=True))
