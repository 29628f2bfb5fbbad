"""How the options of a component are declared, in a form that is saved with a model and compared later."""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from genmod.options.schema import REQUIRED, Option, options_of
from genmod.options.values import plain

__all__ = ["changes", "declared"]

_ASPECTS = ("type", "default", "description")


def declared(component: Callable[..., Any]) -> dict[str, str]:
    """For each option of a component, checksums of its type with its bounds, its default and its description.

    Raises:
        PluginError: the signature is broken.

    Example:
        >>> def blobs(root, *, size: int = 100): ...
        >>> declared(blobs)
        {'size': '2b4fdd90 237750ea 00000000'}
    """
    return {option.name: " ".join(map(_checksum, _aspects(option))) for option in options_of(component)}


def _aspects(option: Option) -> tuple[str, str, str]:
    default = "required" if option.default is REQUIRED else json.dumps(plain(option.default))
    return option.words, default, option.doc


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two declarations, for options that both have; as ``default of width``.

    Example:
        >>> changes({"width": "1 2 3", "gone": "1 2 3"}, {"width": "1 9 9"})
        ['default and description of width']
    """
    found = []
    for name in before:
        then, there = before[name].split(), now.get(name, before[name]).split()
        if then != there:
            pairs = zip(_ASPECTS, then, there, strict=False)
            aspects = [aspect for aspect, a, b in pairs if a != b] or ["declaration"]
            found.append(f"{' and '.join(aspects)} of {name}")
    return found
