"""Names with options in one text, such as ``random-crop:28,padding=2``."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

import re

from genmod.errors import UsageError

__all__ = ["option_text", "parse_call", "plain_value"]

_NAME = re.compile(r"[a-z][a-z0-9_/.-]*", re.IGNORECASE)
# A comma within brackets is part of a value: random-affine:10,scale=[0.9,1.1].
_COMMA = re.compile(r",(?![^\[]*\])")


def parse_call(text: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Name, values and named values, all of them as they were written.

    Raises:
        UsageError: not of the form ``NAME``, or ``NAME:VALUE,OPTION=VALUE,…``.

    Example:
        >>> parse_call("random-affine:10,scale=[0.9,1.1]")
        ('random-affine', ('10',), {'scale': '[0.9,1.1]'})
    """
    name, colon, rest = text.partition(":")
    values: list[str] = []
    named: dict[str, str] = {}
    parts = [part.strip() for part in _COMMA.split(rest)] if colon else []
    for part in parts:
        key, equals, value = part.partition("=")
        if not part or (equals and (not key.strip().isidentifier() or key.strip() in named)):
            raise _malformed(text)
        if equals:
            named[key.strip()] = value.strip()
        elif named:
            raise _malformed(text)
        else:
            values.append(part)
    if not _NAME.fullmatch(name.strip()):
        raise _malformed(text)
    return name.strip(), tuple(values), named


def plain_value(text: str) -> Any:
    """What carries no type is what it looks like in JSON, else a text.

    Example:
        >>> plain_value("[0.9, 1.1]"), plain_value("true"), plain_value("bilinear")
        ([0.9, 1.1], True, 'bilinear')
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is not NAME or NAME:VALUE,OPTION=VALUE,…", hint="for example random-crop:28,padding=2"
    )


def option_text(value: Any) -> str:
    """A value of an option, as JSON has it, in the spelling of the command line.

    Example:
        >>> option_text([32, 64]), option_text(None), option_text(0.5), option_text(True)
        ('32,64', 'none', '0.5', 'true')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value:
        items = [item if isinstance(item, str) else json.dumps(item) for item in value]
        if not any(set(item) & set(',[]{}" ') for item in items):
            return ",".join(items)
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
