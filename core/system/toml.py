"""Parsing untrusted TOML, with limits that are checked first."""

import re
import tomllib
from typing import Any

from genmod.errors import UsageError

__all__ = ["parse_toml"]

_MAX_TOML = 250_000
_MAX_DEPTH = 16
_TOML_TEXT = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3}|\'{3}.*?\'{3}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
_TOML_NUMBER = re.compile(r"(?<![\w-])\d\w{64}")
_TOML_KEY = re.compile(rf"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){{{_MAX_DEPTH}}}")


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The table of a TOML text.

    Raises:
        UsageError: it is not TOML, too long, or has numbers or dotted keys that are too long: parsing these takes
            memory that grows with the square of their length.
    """
    if len(text) > _MAX_TOML:
        raise UsageError(f"{where} is longer than {_MAX_TOML:,} characters, too long for a specification")
    # Dots and digits in strings and comments do not count.
    bare = _TOML_TEXT.sub("t", text)
    if _TOML_KEY.search(bare):
        raise UsageError(
            f"{where} has a key with more than {_MAX_DEPTH} parts, too many for a specification",
            hint=f"write keys of at most {_MAX_DEPTH} parts with dots between",
        )
    if _TOML_NUMBER.search(bare):
        raise UsageError(f"{where} has a number of more than 64 digits, too many for a specification")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML: {error}") from None
