"""Classes of a module by name, with options: optimizers, schedules, transforms of images, activations."""

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from genmod.errors import UsageError
from genmod.options.values import closest

__all__ = ["classes_of", "construct", "find_class"]

_BETWEEN_WORDS = "(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"


@cache
def classes_of(module: ModuleType, base: type, *, without: Collection[str] = ()) -> dict[str, type]:
    """The classes of a module that derive from another, by name in small letters: ``NAdam`` is ``n-adam``.

    Args:
        module: where they are.
        base: what they derive from; it is not one of them.
        without: names of parameters: a class that has one of these cannot be written as a name with options.

    Example:
        >>> from torch import optim
        >>> classes_of(optim, optim.Optimizer)["sgd"]
        <class 'torch.optim.sgd.SGD'>
    """
    return {
        re.sub(_BETWEEN_WORDS, "-", name).lower(): cls
        for name, cls in vars(module).items()
        if not name.startswith("_")
        and inspect.isclass(cls)
        and issubclass(cls, base)
        and cls is not base
        and not (without and set(without) & set(inspect.signature(cls).parameters))
    }


def find_class(what: str, name: str, known: Mapping[str, type], others: Sequence[str] = ()) -> type:
    """The class of a name in any spelling.

    Args:
        what: kind of class, for messages: ``optimizer``.
        name: as the user wrote it.
        known: classes by name.
        others: further names that the user may write, for messages.

    Raises:
        UsageError: there is none of that name.
    """
    cls = {_plain(key): cls for key, cls in known.items()}.get(_plain(name))
    if cls is None:
        names = list(dict.fromkeys([*others, *sorted(known)]))
        meant = closest(name, names)
        raise UsageError(
            f"no {what} {name!r}" + (f"; did you mean {meant}?" if meant else ""),
            hint=f"one of: {', '.join(names)}",
        )
    return cls


def construct(what: str, cls: Any, given: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """An instance of a class.

    Args:
        what: kind and name, for messages: ``optimizer 'adam'``.
        cls: the class.
        given: its first arguments.
        options: its keyword arguments.

    Raises:
        UsageError: it has no such option, or refuses the values.
    """
    try:
        inspect.signature(cls).bind(*given, **options)
        return cls(*given, **options)
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        parameters = list(inspect.signature(cls).parameters.values())
        takes = [str(each.replace(annotation=each.empty)) for each in parameters]
        raise UsageError(
            f"{what} cannot be made: {error}", hint=f"it takes {', '.join(takes) or 'nothing'}"
        ) from error


@cache
def _plain(name: str) -> str:
    return re.sub("[-_]", "", name.lower())
