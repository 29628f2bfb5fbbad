"""Conversion of values to the types of options, and back to JSON."""

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.options.schedule import EXAMPLES, Schedule, ScheduleError
from genmod.options.text import split_texts
from genmod.options.types import Form

__all__ = ["Problem", "Rejected", "Text", "check", "closest", "plain"]

_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TEXT_ORDER = (
    "choice",
    "none",
    "bool",
    "int",
    "float",
    "schedule",
    "mapping",
    "path",
    "str",
    "sequence",
    "tuple",
)
_CONTAINERS = ("sequence", "tuple", "mapping")


class Text(str):
    """A value as typed on the command line: converted by the type of the option, not taken as a text."""

    __slots__ = ()


@dataclass(frozen=True)
class Problem:
    """One mistake in the options.

    Args:
        path: dotted path of the option or of an element of it, such as ``encoder.channels[1]``.
        message: what is allowed.
        received: the value, by ``repr`` and shortened; empty if there is none.
        suggestion: a similar name or value; empty if there is none.
    """

    path: str
    message: str
    received: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        received = f" = {self.received}" if self.received else ""
        suggestion = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.path}{received}: {self.message}{suggestion}"


class Rejected(Exception):
    """A value that does not fit its form.

    Args:
        problems: one, or one for each wrong element.
        detail: a fault beyond the type.
    """

    def __init__(self, problems: list[Problem], detail: str = "") -> None:
        super().__init__(problems)
        self.problems = problems
        self.detail = detail


class _Wrong(Exception):
    """Not of the type; the text may say more."""


def check(form: Form, given: Any, path: str) -> Any:
    """The value in the form's own type: a :class:`Text` is converted, a list becomes a tuple, 1 becomes 1.0.

    Lists, tables and schedules are always new ones.

    Raises:
        Rejected: it is not of the form.
    """
    if form.kind == "union":
        return _check_union(form, given, path)
    value = _from_text(form, given) if isinstance(given, Text) else given
    try:
        value = _check_parts(form, value, path) if form.parts else _check_leaf(form, value)
    except _Wrong as error:
        raise _rejected(form, given, path, str(error)) from None
    if not all(limit.holds(value) for limit in form.limits):
        moving = isinstance(value, Schedule) and not value.is_constant
        detail = f"it goes from {value.start:g} to {value.final:g}" if moving else ""
        raise _rejected(form, given, path, detail)
    return value


def plain(value: Any) -> Any:
    """The value as JSON has it; :func:`check` takes it back."""
    match value:
        case Schedule():
            return value.to_json()
        case Path():
            return str(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def closest(word: str, known: Collection[Any]) -> str:
    """The most similar of the known words, or nothing."""
    names = {str(name).lower(): str(name) for name in known}
    found = difflib.get_close_matches(word.lower(), names, 1)
    return names[found[0]] if found else ""


def _check_union(form: Form, given: Any, path: str) -> Any:
    # On the command line "list or text" is the list if there is a comma or a bracket.
    is_text, is_list = (
        isinstance(given, Text),
        not isinstance(given, str) or bool(re.search(r",|^\s*[\[{]", given)),
    )

    def rank(member: Form) -> tuple[bool, int]:
        if is_text:
            return not (is_list and member.kind in _CONTAINERS), _TEXT_ORDER.index(member.kind)
        return member.kind != "choice", member.kind == "none"

    failures = []
    for member in sorted(form.parts, key=rank):
        try:
            return check(member, given, path)
        except Rejected as error:
            failures.append(error)
    for failure in failures:
        # For a list with a wrong element, the fault of the element says more.
        if is_list and failure.problems[0].path != path:
            raise failure
    raise _rejected(form, given, path, next(filter(None, (failure.detail for failure in failures)), ""))


def _check_parts(form: Form, value: Any, path: str) -> Any:
    if form.kind == "mapping":
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise _Wrong
        checked = _check_each((form.parts[0], item, f"{path}.{key}") for key, item in value.items())
        return dict(zip(map(str, value), checked, strict=True))
    if not isinstance(value, list | tuple) or (form.kind == "tuple" and len(value) != len(form.parts)):
        raise _Wrong
    parts = form.parts if form.kind == "tuple" else form.parts * len(value)
    return form.make(_check_each((part, value[i], f"{path}[{i}]") for i, part in enumerate(parts)))


def _check_each(items: Iterable[tuple[Form, Any, str]]) -> list[Any]:
    values, problems = [], []
    for item in items:
        try:
            values.append(check(*item))
        except Rejected as error:
            problems += error.problems
    if problems:
        raise Rejected(problems)
    return values


def _check_leaf(form: Form, value: Any) -> Any:
    match form.kind, value:
        case "bool", bool():
            return value
        case _, bool():
            raise _Wrong
        case "none", None:
            return None
        case "none", str() if value == "none":
            return None
        case "int", int():
            return int(value)
        case "float", int() | float():
            return _finite(value)
        case "str", str():
            return str(value)
        case "path", str() | Path() if str(value):
            return Path(value)
        case "choice", str() | int() if value in form.choices:
            return form.choices[form.choices.index(value)]
        case "choice", int() if str(value) in form.choices:  # a digit that is a name
            return str(value)
        case "schedule", Schedule() | int() | float() | str():
            try:
                return Schedule.parse(value)
            except ScheduleError as error:
                raise _Wrong(f"{error.reason}; examples: {EXAMPLES}") from None
    raise _Wrong


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong("it must be finite")
    return number


def _from_text(form: Form, text: Text) -> Any:
    """The text converted to the type of the form; unchanged if it cannot be."""
    word = text.strip()
    try:
        match form.kind:
            case "none":
                return {"none": None, "null": None}[word.lower()]
            case "bool":
                return _BOOLS[word.lower()]
            case "int":
                return int(word)
            case "float":
                return float(word)
            case "choice":
                return {str(choice): choice for choice in form.choices}[word]
            case "sequence" | "tuple" | "mapping":
                return _container(form, word)
    except (KeyError, ValueError):
        pass
    return str(text)


def _container(form: Form, word: str) -> Any:
    if word[:1] in ("[", "{"):
        try:
            return json.loads(word)
        except (ValueError, RecursionError):
            word = word[1:-1] if word[-1:] in ("]", "}") else word
    # A comma within brackets belongs to what is in them, as in patch:channels=[32,64].
    items = split_texts(word.removesuffix(",")) if word else []
    if form.kind == "mapping":
        # name=value, or name:value, which needs no quotes after the = of an option.
        pairs = [item.partition("=") if "=" in item else item.rpartition(":") for item in items]
        if not all(sign for _, sign, _ in pairs):
            raise ValueError("no value")
        return {name.strip(): Text(item.strip()) for name, _, item in pairs}
    if any(member.kind in _CONTAINERS for part in form.parts for member in part.members):
        raise ValueError("only JSON says which elements go together")
    return [Text(item) for item in items]


def _rejected(form: Form, given: Any, path: str, detail: str = "") -> Rejected:
    article = "a " if form.words.startswith(("list", "number", "path", "table", "text", "whole")) else ""
    message = f"must be {article}{form.words}" + (f"; {detail}" if detail else "")
    return Rejected([Problem(path, message, _shown(given), _suggestion(form, given))], detail)


def _shown(given: Any) -> str:
    try:
        text = " ".join(repr(given).split())
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a very large number"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _suggestion(form: Form, given: Any) -> str:
    if not isinstance(given, str):
        return ""
    if not isinstance(given, Text):
        try:
            return json.dumps(plain(check(form, Text(given), "")))
        except Rejected:
            pass
    return closest(given, form.literals)
