"""The options of a component: its keyword-only parameters, read from the signature and validated.

A component says everything about an option once, in its signature::

    class ConvEncoder(Encoder):
        def __init__(self, data_shape, *,
                     channels: Annotated[Sequence[int], Doc("output channels of each stage")] = (32, 64),
                     norm: Annotated[Literal["none", "batch"], Doc("normalisation")] = "none") -> None: ...

Positional parameters are wiring that the assembly supplies. :mod:`genmod.options.types` lists the types.

Values from TOML, JSON and Python are taken strictly: ``"3"``, ``True`` and ``3.0`` are not whole numbers.
What is typed on the command line comes as :class:`Text` and is converted: ``32,64`` or ``[32, 64]``,
``none``, ``true``, ``yes`` or ``on``, ``a=1,b=2``. TOML has no null: the text ``none`` stands for it where no
other text may stand.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from typing_extensions import Doc

from genmod.errors import PluginError, UsageError
from genmod.options.types import Form, form_of
from genmod.options.values import Problem, Rejected, Text, check, closest, plain

__all__ = [
    "REQUIRED",
    "Activation",
    "Doc",
    "Option",
    "OptionsError",
    "Problem",
    "Text",
    "differences",
    "option",
    "options_of",
    "same_options",
    "to_json",
    "validate",
    "validate_many",
]

Activation = Literal["silu", "relu", "gelu", "tanh", "elu", "leaky-relu", "softplus", "identity"]
"""Names of the activation functions."""


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()
"""The default of an option that has none."""


@dataclass(frozen=True)
class Option:
    """One option of a component.

    Args:
        name: of the option.
        annotation: its type as the author wrote it.
        default: the validated default, or :data:`REQUIRED`.
        doc: its description.
        form: the parsed annotation.
    """

    name: str
    annotation: Any
    default: Any
    doc: str
    form: Form = field(repr=False, compare=False)

    @property
    def words(self) -> str:
        """Its type in plain words, such as ``list of whole numbers > 0``."""
        return self.form.words

    @property
    def choices(self) -> tuple[str | int, ...]:
        """The names that it may take; empty when it is not a choice."""
        return self.form.literals

    @property
    def allowed(self) -> str:
        """Its constraints, such as ``> 0``; empty if there are none."""
        return self.form.allowed


class OptionsError(UsageError):
    """Wrong options; ``problems`` holds every mistake that was found."""

    def __init__(self, problems: list[Problem], *, hint: str = "") -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        one = len(problems) == 1
        super().__init__(
            str(problems[0]) if one else f"{len(problems)} mistakes in the options:\n{lines}", hint=hint
        )
        self.problems = problems


@cache
def options_of(component: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of a component class, or of a function, in the order of its signature.

    Raises:
        PluginError: the signature is not one that options can be read from; it names class and parameter.

    Example:
        >>> def blobs(root, *, size: Annotated[int, Doc("number of points")] = 100): ...
        >>> [(option.name, option.words, option.default, option.doc) for option in options_of(blobs)]
        [('size', 'whole number', 100, 'number of points')]
    """
    function = _constructor(component)
    try:
        parameters = inspect.signature(function).parameters.values() if function else ()
    except (NameError, TypeError, ValueError) as error:
        raise _broken(component, "", error) from error
    options = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _broken(component, str(parameter), "options must be listed one by one")
        if parameter.kind is parameter.KEYWORD_ONLY:
            options.append(_option(component, function, parameter))
    return tuple(options)


def _constructor(component: Callable[..., Any]) -> Any:
    if not inspect.isclass(component):
        return inspect.unwrap(component)
    owner = next(base for base in component.__mro__ if "__init__" in vars(base))
    # A class without an __init__ of its own has no options, whatever object and nn.Module take.
    inherited = owner is object or owner.__module__.startswith("torch.")
    return None if inherited else inspect.unwrap(vars(owner)["__init__"])


def _option(component: Callable[..., Any], function: Any, parameter: inspect.Parameter) -> Option:
    name, where = parameter.name, f"{component.__module__}.{component.__qualname__}"
    # Only this annotation is resolved: those of the wiring may use names imported for type checkers alone.
    holder = SimpleNamespace(__annotations__={name: parameter.annotation})
    try:
        annotation = get_type_hints(holder, globalns=function.__globals__, include_extras=True)[name]
        if annotation is parameter.empty:
            raise TypeError("it has no annotation")
    except (NameError, TypeError, SyntaxError) as error:
        raise _unreadable(where, name, error) from error
    return option(
        name, annotation, REQUIRED if parameter.default is parameter.empty else parameter.default, where
    )


def option(name: str, annotation: Any, default: Any, where: str) -> Option:
    """An option by its annotation and its default.

    Args:
        name: of the option.
        annotation: its type, as its author wrote it.
        default: not yet validated, or :data:`REQUIRED`.
        where: the component, for messages.

    Raises:
        PluginError: the type is none that an option may have, or the default is not of it.
    """
    try:
        form = form_of(annotation)
        default = REQUIRED if default is REQUIRED else check(form, default, name)
    except Rejected as error:
        raise _unreadable(where, name, f"its default is not allowed: {error.problems[0]}") from None
    except TypeError as error:
        raise _unreadable(where, name, error) from error
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    doc = next((item.documentation for item in metadata if isinstance(item, Doc)), "")
    return Option(name, annotation, default, doc, form)


def _broken(component: Callable[..., Any], parameter: str, reason: object) -> PluginError:
    return _unreadable(f"{component.__module__}.{component.__qualname__}", parameter, reason)


def _unreadable(where: str, parameter: str, reason: object) -> PluginError:
    return PluginError(
        f"cannot read the options of {where}: " + (f"{parameter}: {reason}" if parameter else str(reason)),
        hint="This is for the author of the component: genmod.options.types lists what a signature may hold.",
    )


def same_options(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
    """The ``migrate`` of a component with unchanged options and changed numbers.

    Example:
        >>> same_options({"temperature": 0.5}, 1)
        {'temperature': 0.5}
    """
    return options


def validate(
    component: Callable[..., Any], values: Mapping[str, Any], where: str, *, label: str = ""
) -> dict[str, Any]:
    """All options of a component: the given values, converted, and the defaults of the others.

    Args:
        component: a class or a function.
        values: the given values, by option.
        where: prefix of the paths in messages, such as ``encoder``; may be empty.
        label: kind and name for the hint, such as ``encoder conv``.

    Raises:
        OptionsError: all mistakes in the values.
        PluginError: the signature is broken.

    Example:
        >>> def blobs(root, *, size: int = 100, scale: float = 1.0): ...
        >>> validate(blobs, {"size": Text("20")}, "data")
        {'size': 20, 'scale': 1.0}
        >>> validate(blobs, {"sice": 20}, "data")
        Traceback (most recent call last):
        genmod.options.schema.OptionsError: data.sice: no such option, there are: size, scale; did you mean size?
    """
    return validate_many({where: (component, values)}, labels={where: label})[where]


def validate_many(
    parts: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]],
    *,
    labels: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """:func:`validate` for several components at once, so that one error reports the mistakes of all.

    Args:
        parts: prefix of the paths → component and values.
        labels: prefix of the paths → kind and name, for the hint.

    Raises:
        OptionsError: all mistakes in the values of all components.
        PluginError: a signature is broken.
    """
    results: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    hints: list[str] = []
    for where, (component, values) in parts.items():
        others = {
            option.name: _path(other, option.name)
            for other, (owner, _) in parts.items()
            if other != where
            for option in options_of(owner)
        }
        results[where], found = _validate(options_of(component), values, where, others)
        problems += found
        if found and labels and labels.get(where):
            hints.append(f"genmod show {labels[where]}")
    if problems:
        raise OptionsError(problems, hint="\n".join(hints))
    return results


def _validate(
    options: tuple[Option, ...], values: Mapping[str, Any], where: str, others: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    names = [option.name for option in options]
    problems = []
    for name in values:
        if name not in names:
            known = f"there are: {', '.join(names)}" if names else "there are none"
            suggestion = closest(str(name), names) or others.get(name, "")
            problems.append(Problem(_path(where, name), f"no such option, {known}", suggestion=suggestion))
    checked = {}
    for option in options:
        path = _path(where, option.name)
        value = values.get(option.name, option.default)
        if value is REQUIRED:
            problems.append(Problem(path, f"is required, {option.words}"))
            continue
        try:
            checked[option.name] = check(option.form, value, path)
        except Rejected as error:
            problems += error.problems
    return checked, problems


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


def to_json(component: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Validated values as JSON has them: tuples as lists, schedules as numbers or texts, paths as texts.

    :func:`validate` gives equal values back.

    Example:
        >>> def loader(*, sizes: tuple[int, ...] = (32, 64)): ...
        >>> to_json(loader, validate(loader, {}, "data"))
        {'sizes': [32, 64]}
    """
    return {
        option.name: plain(values[option.name]) for option in options_of(component) if option.name in values
    }


def differences(component: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the validated values that are not the defaults.

    Example:
        >>> def loader(*, size: int = 32, seed: int = 0): ...
        >>> differences(loader, validate(loader, {"size": 64}, "data"))
        {'size': 64}
    """
    options = [option for option in options_of(component) if option.name in values]
    return {option.name: values[option.name] for option in options if values[option.name] != option.default}
