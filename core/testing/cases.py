"""What an author knows of a component and its checks cannot guess: shapes, options, files, and laws that it breaks."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.options.values import closest

__all__ = ["ATTRIBUTE", "Cases", "declared_by"]

ATTRIBUTE = "check_cases"
"""Name of the attribute of a class that declares its cases: the fields of :class:`Cases` by name, or a function of them."""


@dataclass(frozen=True)
class Cases:
    """Cases for the checks of a component, declared by its author; all are tried before the usual ones.

    A class declares the same without importing anything from here, as an attribute with the fields by name::

        class Spectrum(Encoder):
            check_cases = {"data": [(2, 400)], "settings": [{"width": 3}]}

    or as a staticmethod that returns them, where they take work.

    Args:
        data: shapes of data, or :class:`genmod.DataInfo` where their range matters.
        latents: shapes of latents.
        features: shapes of features, which posteriors are given.
        outputs: shapes that networks are to make.
        options: values of options with which every check runs, such as the ``path`` of a dataset.
        settings: further options, tried one mapping after the other beside those.
        root: folder with data files.
        files: a function that writes data files into an empty folder, which is given as ``root``.
        old_options: pairs of a revision and options as they were in it, for ``migrate``.
        expected_failures: check → why this component cannot pass it. One that passes is a failure.

    Raises:
        UsageError: a field is not of this form.

    Example:
        >>> Cases(data=[[2, 400]]).shapes
        ((2, 400),)
    """

    data: Sequence[tuple[int, ...] | DataInfo] = ()
    latents: Sequence[tuple[int, ...]] = ()
    features: Sequence[tuple[int, ...]] = ()
    outputs: Sequence[tuple[int, ...]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Sequence[Mapping[str, Any]] = ()
    root: Path | None = None
    files: Callable[[Path], object] | None = None
    old_options: Sequence[tuple[int, Mapping[str, Any]]] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("data", "latents", "features", "outputs"):
            value = tuple(_shape(name, each) for each in _listed(name, getattr(self, name)))
            object.__setattr__(self, name, value)
        for name in ("options", "expected_failures"):
            _expect(isinstance(getattr(self, name), Mapping), name, getattr(self, name), "names and values")
        settings, old = _listed("settings", self.settings), _listed("old_options", self.old_options)
        for each in settings:
            _expect(isinstance(each, Mapping), "settings", each, "options by name")
        for pair in old:
            right = isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[1], Mapping)
            _expect(right and type(pair[0]) is int, "old_options", pair, "a revision and its options")
        object.__setattr__(self, "settings", tuple(map(dict, settings)))
        object.__setattr__(self, "old_options", tuple((pair[0], dict(pair[1])) for pair in old))
        if self.root is not None:
            object.__setattr__(self, "root", Path(self.root))
        _expect(self.files is None or callable(self.files), "files", self.files, "a function of a folder")

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the data."""
        return tuple(each.shape if isinstance(each, DataInfo) else each for each in self.data)

    @property
    def infos(self) -> tuple[DataInfo, ...]:
        """The data as they are declared to decoders; of a bare shape, values between 0 and 1."""
        return tuple(each if isinstance(each, DataInfo) else DataInfo(each) for each in self.data)

    @property
    def folder(self) -> Path | None:
        """The folder with data files, which are written on first use."""
        return self.root if self.files is None else _written(self.files)

    def over(self, other: "Cases") -> "Cases":
        """These, and of what these leave out those of another.

        Example:
            >>> Cases(latents=[(3,)]).over(Cases(latents=[(9,)], outputs=[(4,)])).outputs
            ((4,),)
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(other, **{name: value for name, value in own.items() if value})


def declared_by(cls: Any) -> Cases:
    """The cases that a class declares in its attribute ``check_cases``; empty ones where it declares none.

    Raises:
        UsageError: they are not of the form of :class:`Cases`, or the function that makes them raises an error.
    """
    given = getattr(cls, ATTRIBUTE, None)
    if given is None:
        return Cases()
    given = _made(f"{cls.__name__}.{ATTRIBUTE}", given) if callable(given) else given
    if isinstance(given, Cases):
        return given
    _expect(isinstance(given, Mapping), ATTRIBUTE, given, "fields of genmod.testing.Cases by name")
    known = [each.name for each in fields(Cases)]
    for name in given:
        if name not in known:
            meant = closest(str(name), known)
            raise UsageError(
                f"{cls.__name__}.{ATTRIBUTE} has {name!r}; there are {', '.join(known)}",
                hint=f"did you mean {meant}?" if meant else "help(genmod.testing.Cases) says what each is",
            )
    return Cases(**given)


@lru_cache(maxsize=16)
def _written(files: Callable[[Path], object]) -> Path:
    place = Path(tempfile.mkdtemp(prefix="genmod-check-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    _made("the cases of a component: files", files, place)
    return place


def _made(what: str, make: Callable[..., Any], *args: Any) -> Any:
    """What a function of the author returns.

    Raises:
        UsageError: it raises an error.
    """
    try:
        return make(*args)
    except Exception as error:
        raise UsageError(
            f"{what} raised {type(error).__name__}: {error}",
            hint="help(genmod.testing.Cases) has the form: a staticmethod without arguments, files is given a folder",
        ) from error


def _listed(name: str, value: Any) -> tuple[Any, ...]:
    right = isinstance(value, Sequence) and not isinstance(value, str)
    _expect(right, name, value, "a list")
    return tuple(value)


def _shape(name: str, value: Any) -> Any:
    if name == "data" and isinstance(value, DataInfo):
        return value
    right = isinstance(value, Sequence) and value and all(type(size) is int and size > 0 for size in value)
    _expect(right, name, value, "shapes such as (3, 32, 32)")
    return tuple(value)


def _expect(holds: Any, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise UsageError(
            f"the cases of a component: {name} has {value!r}, where there should be {wanted}",
            hint="help(genmod.testing.Cases) has the form of each",
        )
