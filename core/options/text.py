"""Names with options in one text, such as ``random-crop:28,padding=2``."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from genmod.errors import UsageError

__all__ = ["json_data", "option_text", "parse_call", "plain_value", "split_texts"]

_NAME = re.compile(r"[a-z][a-z0-9_/.-]*", re.IGNORECASE)


def split_texts(text: str, separator: str = ",") -> list[str]:
    """The parts of a text between separators outside of brackets.

    Example:
        >>> split_texts("elbo, fid[pixel,randconv]")
        ['elbo', 'fid[pixel,randconv]']
    """
    return [part.strip() for part in re.split(rf"{separator}(?![^\[]*\])", text)]


def parse_call(text: str, separator: str = ",") -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Name, values and named values, as texts.

    Raises:
        UsageError: not of the form ``NAME``, or ``NAME:VALUE,OPTION=VALUE,…``.

    Example:
        >>> parse_call("random-affine:10,scale=[0.9,1.1]")
        ('random-affine', ('10',), {'scale': '[0.9,1.1]'})
        >>> parse_call("relaxed-categorical:20x10:temperature=0.67", ":")
        ('relaxed-categorical', ('20x10',), {'temperature': '0.67'})
    """
    name, colon, rest = text.partition(":")
    values: list[str] = []
    named: dict[str, str] = {}
    for part in split_texts(rest, separator) if colon else []:
        key, equals, value = (word.strip() for word in part.partition("="))
        fits = key.isidentifier() and key not in named if equals else part and not named
        if not fits:
            raise _malformed(text, separator)
        if equals:
            named[key] = value
        else:
            values.append(part)
    if not _NAME.fullmatch(name.strip()):
        raise _malformed(text, separator)
    return name.strip(), tuple(values), named


def plain_value(text: str) -> Any:
    """The value of a text without a type: that of its JSON, a list of numbers between commas, else the text.

    Example:
        >>> plain_value("[0.9, 1.1]"), plain_value("true"), plain_value("0.9,1.1"), plain_value("bilinear")
        ([0.9, 1.1], True, [0.9, 1.1], 'bilinear')
    """
    for whole in (text, f"[{text}]"):
        try:
            value = json.loads(whole)
        except (ValueError, RecursionError):
            continue
        if whole is text or (value and all(type(item) in (int, float) for item in value)):
            return value
    return text


def _malformed(text: str, separator: str) -> UsageError:
    return UsageError(
        f"{text!r} is not NAME or NAME:VALUE{separator}OPTION=VALUE{separator}…",
        hint=f"for example random-crop:28{separator}padding=2",
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


def json_data(value: Any) -> Any:
    """Plain data as JSON has it: lists for tuples, None for NaN and infinities.

    Example:
        >>> json_data({"found": (1.5, float("nan"))})
        {'found': [1.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): json_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_data(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
