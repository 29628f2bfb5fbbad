"""The types an option may have, parsed, and their names in plain words.

The set is closed, so that every option can be written on the command line, in TOML, in JSON and in Python,
and comes back the same from each::

    bool  int  float  str  pathlib.Path  Schedule  Literal["a", "b", 3]  T | None  T | U
    Sequence[T]  tuple[T, ...]  list[T]  tuple[T, U]  dict[str, T]

with constraints of annotated_types at any depth, ``Sequence[Annotated[int, Gt(0)]]``. A constraint of a union
holds for those members that it fits, and a bound of a schedule at every step. ``Schedule | float`` is a
schedule: a number is how a constant one is written.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from typing_extensions import Doc

from genmod.options.schedule import Schedule

__all__ = ["Form", "Limit", "form_of"]

_LEAVES: dict[Any, str] = {
    NoneType: "none",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    Path: "path",
    Schedule: "schedule",
}
_NOUNS = {
    "int": ("whole number", "whole numbers"),
    "float": ("number", "numbers"),
    "str": ("text", "texts"),
    "path": ("path", "paths"),
    "schedule": ("number or schedule", "numbers or schedules"),
}
_SPELLINGS = {
    "int": {"whole"},
    "float": {"number"},
    "str": {"text"},
    "path": {"text"},
    "schedule": {"whole", "number", "text"},
    "sequence": {"list"},
    "tuple": {"list"},
    "mapping": {"table"},
}
"""How a kind is written in JSON: members of a union that share a spelling could not be distinguished."""


@dataclass(frozen=True)
class Limit:
    """A constraint: its words, the kinds it fits, and whether a value obeys it."""

    words: str
    kinds: frozenset[str]
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Form:
    """A parsed annotation.

    Args:
        kind: none, bool, int, float, str, path, schedule, choice, sequence, tuple, mapping or union.
        parts: the forms of the elements, or of the members of a union.
        choices: the values of a Literal.
        limits: the constraints.
        make: the type that a sequence becomes.
    """

    kind: str
    parts: tuple["Form", ...] = ()
    choices: tuple[str | int, ...] = ()
    limits: tuple[Limit, ...] = ()
    make: type = tuple

    @property
    def members(self) -> tuple["Form", ...]:
        """The members of a union; of anything else itself."""
        return self.parts if self.kind == "union" else (self,)

    @property
    def literals(self) -> tuple[str | int, ...]:
        """The values of the Literal, or of those in the union."""
        return tuple(choice for member in self.members for choice in member.choices)

    @property
    def allowed(self) -> str:
        """The constraints in words, such as ``>= 0 and < 1``."""
        texts = (" and ".join(limit.words for limit in member.limits) for member in self.members)
        return ", ".join(filter(None, texts))

    @property
    def words(self) -> str:
        """The type in plain words, such as ``list of whole numbers > 0``."""
        return " or ".join(member._words() for member in self.members)

    def _words(self, number: int = 0) -> str:
        match self.kind:
            case "none":
                text = "none"
            case "bool":
                text = "true or false"
            case "choice":
                text = ("one of " if len(self.choices) > 1 else "") + ", ".join(map(str, self.choices))
            case "tuple":
                first, words = self.parts[0], [part.words for part in self.parts]
                alike = first.kind in _NOUNS and len(set(words)) == 1
                text = f"list of {len(words)}" + (f" {first._words(1)}" if alike else f": {', '.join(words)}")
            case "sequence" | "mapping":
                part = self.parts[0]
                items = part._words(1) if part.kind in _NOUNS else f"values, each {part.words}"
                text = f"{'list' if self.kind == 'sequence' else 'table'} of {items}"
            case _:
                text = _NOUNS[self.kind][number]
        return f"{text} {self.allowed}" if self.limits else text


def form_of(annotation: Any) -> Form:
    """Parse an annotation.

    Raises:
        TypeError: it is not one of the types above.

    Example:
        >>> form_of(Sequence[Annotated[int, Gt(0)]] | None).words
        'list of whole numbers > 0 or none'
    """
    if get_origin(annotation) is not Annotated:
        return _bare(annotation)
    bare, *metadata = get_args(annotation)
    form = _bare(bare)
    for limit in _limits(metadata):
        members = tuple(_limited(member, limit) for member in form.members)
        if members == form.members:
            raise TypeError(f"the constraint '{limit.words}' does not fit {form.words}")
        form = replace(form, parts=members) if form.kind == "union" else members[0]
    return form


def _bare(annotation: Any) -> Form:
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and annotation in _LEAVES:
        return Form(_LEAVES[annotation])
    if origin is Literal and all(isinstance(a, str | int) and not isinstance(a, bool) for a in args):
        return Form("choice", choices=args)
    if origin in (Union, UnionType):
        return _union([member for arg in args for member in form_of(arg).members])
    if (origin in (Sequence, list) and args) or (origin is tuple and args[1:] == (...,)):
        return Form("sequence", (form_of(args[0]),), make=list if origin is list else tuple)
    if origin is tuple and args:
        return Form("tuple", tuple(form_of(arg) for arg in args))
    if origin in (Mapping, dict) and args[:1] == (str,):
        return Form("mapping", (form_of(args[1]),))
    name = annotation.__name__ if isinstance(annotation, type) else annotation
    raise TypeError(f"{name} is not one of the types that an option may have")


def _union(members: list[Form]) -> Form:
    if any(member.kind == "schedule" for member in members):
        members = [m for m in members if m.kind not in ("int", "float", "str") or m.limits]
    seen: set[str] = set()
    for member in members:
        spelling = _SPELLINGS.get(member.kind, set())
        if seen & spelling:
            raise TypeError(
                f"the members of the union, {' or '.join(m.words for m in members)}, look alike in a file"
            )
        seen |= spelling
    return Form("union", tuple(members)) if len(members) > 1 else members[0]


def _limited(form: Form, limit: Limit) -> Form:
    return replace(form, limits=(*form.limits, limit)) if form.kind in limit.kinds else form


def _limits(metadata: Iterable[Any]) -> Iterator[Limit]:
    for item in metadata:
        match item:
            case Doc():
                continue
            case Interval():
                yield from _limits(item)
            case Gt(gt=bound):
                yield _bound(">", operator.gt, bound)
            case Ge(ge=bound):
                yield _bound(">=", operator.ge, bound)
            case Lt(lt=bound):
                yield _bound("<", operator.lt, bound)
            case Le(le=bound):
                yield _bound("<=", operator.le, bound)
            case MultipleOf(multiple_of=unit):
                yield Limit(f"divisible by {unit}", frozenset({"int"}), partial(_divides, unit))
            case Len(min_length=least, max_length=most):
                yield _length(least, most)
            case MinLen(min_length=least):
                yield _length(least, None)
            case MaxLen(max_length=most):
                yield _length(0, most)
            case _:
                raise TypeError(f"{item!r} is not one of the constraints that an option may have")


def _bound(sign: str, compare: Callable[[Any, Any], bool], bound: Any) -> Limit:
    def holds(value: Any) -> bool:
        if isinstance(value, Schedule):
            return compare(value.lowest, bound) and compare(value.highest, bound)
        return compare(value, bound)

    return Limit(f"{sign} {bound}", frozenset({"int", "float", "schedule"}), holds)


def _length(least: int, most: int | None) -> Limit:
    words = f"(at least {least})"
    if most is not None:
        words = f"({least} to {most})" if least < most else f"(exactly {most})"
    kinds = frozenset({"str", "sequence", "mapping"})
    return Limit(words, kinds, lambda value: least <= len(value) and (most is None or len(value) <= most))


def _divides(unit: Any, value: Any) -> bool:
    return bool(value % unit == 0)
