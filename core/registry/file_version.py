"""The version of a plugin that is a file: a checksum of its bytes, and one of its program without comments and layout.

A model records both, so that a comment in the file changes nothing, and any other change is told. Models of earlier
versions of genmod have the first alone.
"""

import ast
import hashlib
from typing import Any

__all__ = ["file_version", "same_program", "shortened"]

_BYTES, _PROGRAM = "sha256:", "+code:"
_SHOWN = 12
_MAX_PARSED = 1_000_000


def file_version(content: bytes) -> str:
    """The version of a file: ``sha256:…+code:…``, without the second where it is no Python program.

    Example:
        >>> shortened(file_version(b"x = 1"))
        'sha256:8ff436def145'
    """
    version = _BYTES + hashlib.sha256(content).hexdigest()
    program = _program(content)
    return f"{version}{_PROGRAM}{hashlib.sha256(program.encode()).hexdigest()}" if program else version


def same_program(recorded: str, now: str) -> bool:
    """Whether two versions are of one program: the same bytes, or the same code but for comments, layout and docstrings.

    Example:
        >>> same_program(file_version(b"x = 1  # one"), file_version(b"x = 1"))
        True
        >>> same_program(file_version(b"x = 1"), file_version(b"x = 2"))
        False
    """
    (bytes_then, _, then), (bytes_now, _, current) = (each.partition(_PROGRAM) for each in (recorded, now))
    return bytes_then == bytes_now or (then != "" and then == current)


def shortened(version: str) -> str:
    """A version as it is shown: of a checksum the beginning.

    Example:
        >>> shortened("1.0.2")
        '1.0.2'
    """
    start, found, rest = version.partition(_BYTES)
    return f"{_BYTES}{rest[:_SHOWN]}" if found and not start else version


def _program(content: bytes) -> str:
    """The syntax tree of a program as a text that is the same in every version of Python; empty where there is none."""
    if len(content) > _MAX_PARSED:
        return ""
    try:
        return repr(_plain(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _plain(node: Any) -> Any:
    """A node with what is in it; what newer versions of Python add is empty in an older program, and left out."""
    if isinstance(node, list):
        return tuple(_plain(each) for each in node if not _is_remark(each))
    if not isinstance(node, ast.AST):
        return node
    fields = (
        (name, value)
        for name, value in ast.iter_fields(node)
        if name not in ("ctx", "kind", "type_comment", "type_ignores") and value is not None and value != []
    )
    return (type(node).__name__, *((name, _plain(value)) for name, value in fields))


def _is_remark(node: Any) -> bool:
    """A text that stands by itself, as docstrings do: it computes nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
