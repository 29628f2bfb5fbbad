"""HTML tables with escaped text."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """An HTML table for notebooks; the first cell of each row is its header.

    Example:
        >>> "<td>a &lt; b</td>" in html_table(("name", "value"), [("x", "a < b")], "")
        True
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<table style="text-align:left"><caption style="text-align:left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
