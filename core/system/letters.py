"""Letters that are no text: what moves a cursor, ends a line, or turns the direction of what follows."""

import re

__all__ = ["CONTROL", "LAYOUT_APART", "in_lines", "in_one_line"]

_LETTERS = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"

CONTROL = re.compile(f"[{_LETTERS}]+")
"""All of them. With what turns the direction of a text, a command in a message would read otherwise than it is."""
LAYOUT_APART = re.compile(rf"(?:(?![\t\n])[{_LETTERS}])+")
"""All but tabs and ends of lines."""


def in_one_line(text: str) -> str:
    """A text from elsewhere, in one line.

    Example:
        >>> in_one_line("a\\x1b[1m\\nb")
        'a [1m b'
    """
    return CONTROL.sub(" ", text)


def in_lines(text: str) -> str:
    """A text from elsewhere, with its lines and tabs.

    Example:
        >>> in_lines("a\\u202eb\\nc")
        'a b\\nc'
    """
    return LAYOUT_APART.sub(" ", text)
