"""Other numbers than the defaults, within the bounds of options, for laws that may hold at the defaults alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from genmod.options.schedule import Schedule
from genmod.options.schema import Option, options_of
from genmod.options.types import Form

__all__ = ["numbers"]

_FACTORS = {"lower": (0.7, 0.9, 0.98), "higher": (1.5, 1.2, 1.01)}
_FROM_ZERO = {"lower": (0.25, 0.05), "higher": (1.5, 0.5)}
_WITHOUT = {"lower": (0.5, 1.5), "higher": (2.0, 3.0)}
"""Where the default is no number, such as ``learned``."""


def numbers(cls: Any, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Twice other numbers for those options that are not given: lower ones, then higher ones, of the type of the default.

    Example:
        >>> from typing import Annotated, Literal
        >>> from annotated_types import Gt, Interval
        >>> def noise(*, scale: Annotated[float, Gt(0)] | Literal["learned"] = "learned", size: int = 4,
        ...     decay: Annotated[float, Interval(ge=0, lt=1)] = 0.5, seed: int = 0): ...
        >>> list(numbers(noise, {"seed": 3}))
        [{'scale': 0.5, 'size': 2, 'decay': 0.35}, {'scale': 2.0, 'size': 5, 'decay': 0.75}]
    """
    for side in ("lower", "higher"):
        found = {
            option.name: value
            for option in options_of(cls)
            if option.name not in given
            for value in _other(option, side)
        }
        if found:
            yield found


def _other(option: Option, side: str) -> list[Any]:
    """A number on one side of the default, in a list; one of the other side where the bounds leave none; else nothing."""
    default = option.default
    if isinstance(default, Schedule):
        default = default.lowest if default.lowest == default.highest else None
    number = isinstance(default, int | float) and not isinstance(default, bool)
    for form in option.form.members:
        if form.kind not in ("int", "float", "schedule") or (form.kind == "int" and not number):
            continue
        sides = (side, "higher" if side == "lower" else "lower")
        tried = [each for at in sides for each in _near(default if number else None, form.kind, at)]
        for value in tried:
            if value != default and _allowed(form, value):
                return [value]
    return []


def _near(default: Any, kind: str, side: str) -> list[Any]:
    if kind == "int":
        steps = (max(1, default // 2), 1) if side == "lower" else (max(1, default // 4), default, 1)
        return [default - step if side == "lower" else default + step for step in steps]
    if default is None:
        return list(_WITHOUT[side])
    return [round(default * f, 10) for f in _FACTORS[side]] if default else list(_FROM_ZERO[side])


def _allowed(form: Form, value: Any) -> bool:
    return all(limit.holds(value) for limit in form.limits)
