"""Laws for the record, the class and the options of every component."""

import dis
import functools
import inspect
import json
import subprocess
import sys

from torch import nn

from genmod.errors import GenmodError
from genmod.options.kinds import a_kind
from genmod.options.schema import REQUIRED, Option, options_of, to_json, validate
from genmod.registry.component import KINDS
from genmod.registry.provided import import_target
from genmod.spec import MODEL_KINDS
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect

__all__ = ["CLASSES", "readable_options"]

CLASSES = tuple(kind for kind, base in KINDS.items() if base)
"""Kinds whose components are classes."""
_BY_NAME = (*MODEL_KINDS, "critic", "sampler", "model")
"""Kinds whose components work by name alone."""
_POSITIONAL = {
    "model": ("spec", "data"),
    "encoder": ("data_shape",),
    "posterior": ("feature_shape", "latent_shape"),
    "prior": ("latent_shape",),
    "decoder": ("data",),
    "network": ("in_shape", "out_shape"),
    "critic": ("data", "latent_shape"),
    "dataset": ("root",),
    "sampler": ("latent_shape",),
    "features": ("data",),
    "tracker": ("directory", "run"),
}

_DISCOVER = """
import json, sys
distribution, sys.path[:] = json.loads(sys.argv[1])
from genmod.registry.lookup import Registry
registry = Registry(only=[distribution])
found = [s for s in registry.plugins() if s.distribution == distribution]
print(json.dumps([[s.entry_point, s.status, s.reason, s.imports_heavy] for s in found]))
"""


@check_for(
    *KINDS,
    remedy="import torch in the component's module, never in the plugin module",
    once=True,
    needs="record",
)
def check_discovery(case: Case) -> None:
    """The plugin module is found, loads in a clean interpreter, and imports nothing heavy."""
    if case.provided is None or not case.provided.registered:
        raise NotApplicable("it does not come from an installed plugin")
    statuses = _discovered(case.provided.distribution)
    expect(statuses, f"{case.provided.distribution} has no entry point in a clean interpreter")
    for entry_point, status, reason, heavy in statuses:
        expect(status == "ok" and not reason, f"entry point {entry_point!r} is {status}: {reason}")
        expect(not heavy, f"entry point {entry_point!r} imports {', '.join(heavy)}")


@functools.cache
def _discovered(distribution: str) -> list[tuple[str, str, str, list[str]]]:
    """Entry point, status, reason and heavy imports of each plugin of a distribution."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _DISCOVER, json.dumps([distribution, sys.path])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    expect(done.returncode == 0, f"looking for it ended with {done.returncode}: {done.stderr[-300:]}")
    statuses: list[tuple[str, str, str, list[str]]] = json.loads(done.stdout)
    return statuses


@check_for(
    *KINDS, remedy='give Component(…, summary="…"): what it is, in one line', once=True, needs="record"
)
def check_summary(case: Case) -> None:
    """The record has a summary for ``genmod list``."""
    if case.provided is None:
        raise NotApplicable("it is a class without a record")
    summary = case.provided.component.summary
    expect(summary.strip(), "its summary is empty")
    expect(len(summary) <= 100, f"its summary has {len(summary)} characters; at most 100 fit into a line")


@check_for(
    *CLASSES,
    remedy="derive the class from the abstract class of its kind and define all of it",
    once=True,
    needs="record",
)
def check_class(case: Case) -> None:
    """The target is a complete class of its kind."""
    base = import_target(KINDS[case.kind])
    cls = case.cls  # what is wrong with a target is in the error
    expect(issubclass(cls, base), f"{cls.__name__} is not a subclass of {base.__name__}")
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    expect(not missing, f"{cls.__name__} does not define {', '.join(missing)}")


@check_for(
    *CLASSES,
    remedy="write a docstring: a summary line, the formula, shapes, a reference",
    once=True,
    needs="class",
)
def check_docstring(case: Case) -> None:
    """The class has a docstring of its own, which ``genmod show`` prints."""
    expect(inspect.cleandoc(case.cls.__doc__ or ""), f"{case.cls.__name__} has no docstring")


@check_for(
    *CLASSES,
    remedy="make the wiring positional and every option keyword-only: def __init__(self, data_shape, *, width: … = 64)",
    once=True,
    needs="class",
)
def check_signature(case: Case) -> None:
    """The constructor takes the wiring of its kind by position, and options by keyword alone."""
    wanted = _POSITIONAL.get(case.kind, ())
    if case.kind in ("prior", "sampler") and getattr(case.cls, "wants_context", False):
        wanted += ("context_size",)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = [p.name for p in inspect.signature(case.cls).parameters.values() if p.kind in kinds]
    expect(
        len(given) == len(wanted),
        f"it takes {', '.join(given) or 'nothing'} by position; "
        f"{a_kind(case.kind)} is given {', '.join(wanted) or 'nothing'}",
    )


@check_for(
    *CLASSES,
    remedy='annotate each option: width: Annotated[int, Gt(0), Doc("units of the layer")] = 64',
    once=True,
    needs="class",
)
def check_options(case: Case) -> None:
    """Every option has a type that files can hold, a default, and a description."""
    for option in options_of(case.cls):
        expect(option.doc.strip(), f"option {option.name!r} has no Doc(…)")
        # Parts of a model must work by name alone; a file to read or a place to write to has no default.
        given = option.default is not REQUIRED or case.kind not in _BY_NAME
        expect(given, f"option {option.name!r} has no default")


@check_for(
    *CLASSES,
    remedy="rename the option, for example to keep_training or half_width: its value would hide what torch or genmod calls",
    once=True,
    needs="class",
)
def check_option_names(case: Case) -> None:
    """No option has the name of a method or attribute of ``nn.Module``, or hides a method of its kind."""
    base = import_target(KINDS[case.kind])
    names = [option.name for option in readable_options(case)]
    module = set(dir(nn.Module())) if issubclass(base, nn.Module) else set()
    taken = [name for name in names if name in module]
    expect(not taken, f"option {taken and taken[0]!r} has the name of nn.Module.{taken and taken[0]}")
    for name in names:
        # A method that the class defines itself is its own matter; one that it replaces by a value is not.
        if callable(getattr(base, name, None)) and name in _assigned(case.cls):
            raise CheckFailed(
                f"option {name!r} is kept as self.{name}, which hides the method {name} of {a_kind(case.kind)}"
            )


def readable_options(case: Case) -> tuple[Option, ...]:
    """The options of a component.

    Raises:
        NotApplicable: they cannot be read.
    """
    try:
        return options_of(case.cls)
    except GenmodError:
        raise NotApplicable("its options cannot be read, see check_options") from None


def _assigned(cls: type) -> set[str]:
    """Names of the attributes that the constructor of a class assigns to."""
    code = getattr(vars(cls).get("__init__"), "__code__", None)
    return {
        step.argval for step in (dis.get_instructions(code) if code else ()) if step.opname == "STORE_ATTR"
    }


@check_for(
    *CLASSES, remedy="give defaults of the annotated type; never keep or change the value you are given"
)
def check_options_round_trip(case: Case) -> None:
    """Options survive JSON, and the constructor does not change them."""
    values = validate(case.cls, case.options, case.kind)
    again = validate(case.cls, json.loads(json.dumps(to_json(case.cls, values))), case.kind)
    expect(again == values, f"{values} came back as {again}")
    if case.kind in _BY_NAME:
        _, wiring = next(case.accepted())
        case.cls(*wiring, *case.given, **values)
        expect(again == values, f"the constructor changed {again} to {values}")


@check_for(
    "encoder",
    "posterior",
    "prior",
    "decoder",
    "network",
    "sampler",
    "features",
    remedy="raise UsageError(what was given, hint=what to choose instead), and list it under Raises",
    once=True,
)
def check_refusals(case: Case) -> None:
    """Its refusals have a hint and are documented under Raises."""
    refusals = [error for _, error in case.tried() if isinstance(error, GenmodError)]
    for error in refusals:
        expect(error.hint, f"refused without a hint: {error.message}")
    documented = any(
        name in (case.cls.__doc__ or "") for name in ("UsageError", "DataError", "UndefinedError")
    )
    expect(
        documented or not refusals,
        f"its docstring has no Raises: UsageError for: {refusals and refusals[0].message}",
    )
