"""A grid of runs: every combination of some values, each in a directory of its own."""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.bundle.differences import flattened, flattened_spec
from genmod.bundle.directory import ModelDirectory
from genmod.errors import UsageError
from genmod.model.build import compose
from genmod.model.resolve import resolve
from genmod.options.schema import Text
from genmod.options.text import plain_value
from genmod.spec import SPEC_KINDS, ModelSpec
from genmod.system.files import read_text
from genmod.system.toml import parse_toml
from genmod.training.settings import NO_OTHER_RUN, TrainSettings, same_setting

__all__ = ["Point", "base_spec", "known_settings", "points", "run_point", "split_values", "train_or_go_on"]

_LONGEST = 200
"""Characters of a directory's name; file systems have 255 bytes, and hidden names of it are longer."""


@dataclass(frozen=True)
class Point:
    """One combination of a grid.

    Args:
        name: of its directory, such as ``beta=4,latent=8``: what varies in the grid.
        values: what is set, by path: ``latent``, a kind of component, ``kind.option`` or ``train.setting``.
        full: name of the directory with all values, as older versions named it, where the name leaves some out.
    """

    name: str
    values: Mapping[str, str]
    full: str = ""

    def place(self, base: ModelSpec, directory: Path) -> Path:
        """The directory of this point in that of the grid.

        The name has all values where such a directory is there, of an older version, and where the shorter name is that
        of another run.

        Raises:
            UsageError: that directory, too, has another run.
        """
        full, short = directory / self.full, directory / self.name
        others, place = self._others(base, short), short
        if self.full and (others or full.is_dir()):
            others, place = self._others(base, full), full
        if others:
            raise UsageError(
                f"{place} has another run: {'; '.join(others)}",
                hint="choose another folder with -o DIR, or remove that one",
            )
        return place

    def _others(self, base: ModelSpec, place: Path) -> list[str]:
        """In what the run in a directory, if there is one, is another than that of this point."""
        there = ModelDirectory(place)
        if not there.is_trained:
            return []
        wanted = flattened_spec(resolve(self.spec(base)))
        settings = TrainSettings(**self.settings()).to_json()
        wanted |= {f"train.{name}": value for name, value in settings.items()}
        found = flattened(there)
        # A run of an older version has no value of what is newer.
        paths = [path for path in wanted if path in found and path.removeprefix("train.") not in NO_OTHER_RUN]
        return [
            f"{path} is {found[path]} there and {wanted[path]} here"
            for path in paths
            if not _same(path, wanted[path], found[path])
        ]

    def spec(self, base: ModelSpec) -> ModelSpec:
        """The specification of this point.

        Raises:
            UsageError: a path that names no part of the model.
        """
        components = {path: value for path, value in self.values.items() if path in SPEC_KINDS}
        options = {
            path: Text(value)
            for path, value in self.values.items()
            if path not in components and path != "latent" and not path.startswith("train.")
        }
        latent = self.values.get("latent")
        for kind, name in components.items():
            base = base.with_component(kind, name)
        if latent is not None:
            base = base.with_latent(latent)
        return base.with_options(options)

    def settings(self) -> dict[str, Any]:
        """The training settings of this point.

        Raises:
            UsageError: there is no such setting, or a value that it cannot have.
        """
        given = {path: value for path, value in self.values.items() if path.startswith("train.")}
        settings = known_settings(
            {path.removeprefix("train."): plain_value(text) for path, text in given.items()}
        )
        TrainSettings(**settings)
        return settings


def known_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a training run, by name.

    Raises:
        UsageError: an unknown name.
    """
    unknown = sorted(set(settings) - set(TrainSettings.names()))
    if unknown:
        raise UsageError(
            f"no such training setting: {', '.join(unknown)}",
            hint=f"settings: {', '.join(TrainSettings.names())}",
        )
    return dict(settings)


def points(axes: Mapping[str, Sequence[str]]) -> Iterator[Point]:
    """Every combination, in the order in which a nested loop visits them.

    Names have what varies, and all of what is fixed where nothing does. Where values differ in signs alone that no name
    of a file can have, a hash tells their names apart.

    Raises:
        UsageError: an axis without values.

    Example:
        >>> [point.name for point in points({"objective.beta": ["1", "4"], "latent": ["8"], "train.lr": ["1e-3", "1e-4"]})]
        ['beta=1,lr=1e-3', 'beta=1,lr=1e-4', 'beta=4,lr=1e-3', 'beta=4,lr=1e-4']
    """
    empty = [path for path, values in axes.items() if not values]
    if empty:
        raise UsageError(f"no values for {', '.join(empty)}", hint="write -s objective.beta=1,2,4")
    last = [path.rpartition(".")[2] for path in axes]
    short = {path: path if last.count(name) > 1 else name for path, name in zip(axes, last, strict=True)}
    varying = [path for path, values in axes.items() if len(values) > 1] or list(axes)
    grid = [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*axes.values())]
    names = [_named({short[path]: values[path] for path in varying}) for values in grid]
    # For the file systems of macOS and Windows, A and a are one name.
    times = Counter(name.casefold() for name in names)
    for name, values in zip(names, grid, strict=True):
        full = _named({short[path]: value for path, value in values.items()})
        if times[name.casefold()] > 1:
            name, full = (f"{each[:180]}-{_hash(json.dumps(values))}" for each in (name, full))
        yield Point(name, values, full if len(varying) < len(axes) else "")


def split_values(text: str) -> list[str]:
    """The values of an axis: separated by commas, lists in brackets being one value each.

    Example:
        >>> split_values("1, 2,4"), split_values("[32,64],[16]")
        (['1', '2', '4'], ['[32,64]', '[16]'])
    """
    return [value.strip() for value in re.findall(r"\[[^\]]*\]|[^,]+", text) if value.strip()]


def run_point(
    base: ModelSpec,
    point: Point,
    directory: Path,
    *,
    root: Path | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> str:
    """Build and train one point; continue it where it was stopped, skip it where it is finished.

    Returns:
        ``done before``, or the status of the run.

    Raises:
        UsageError: the directory holds another model.
    """
    return train_or_go_on(
        point.spec(base), point.place(base, directory), point.settings(), root=root, on_event=on_event
    )


def train_or_go_on(
    spec: ModelSpec,
    place: Path,
    settings: Mapping[str, Any],
    *,
    root: Path | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> str:
    """Build and train a model in a directory; continue it where it was stopped, skip it where it is finished.

    Args:
        spec: of the model.
        place: its directory.
        settings: of its training.
        root: folder with data files.
        on_event: called with events of the training.

    Returns:
        ``done before``, or the status of the run.
    """
    from genmod.bundle.model import load
    from genmod.model.assembly import assemble, open_dataset
    from genmod.training.train import train

    dataset = open_dataset(spec, root)
    there = ModelDirectory(place)
    if there.is_trained:
        if there.read_record().get("status") in ("finished", "stopped early"):
            return "done before"
        if there.checkpoints.is_dir() and any(there.checkpoints.glob("step-*")):
            model = load(place, weights="last")
            return train(model, dataset, directory=place, resume=True, on_event=on_event).status
    model = assemble(spec, dataset.info, seed=int(settings.get("seed", 0)))
    return train(model, dataset, directory=place, overwrite=True, on_event=on_event, **settings).status


def base_spec(recipe: str | None, file: Path | None) -> tuple[ModelSpec, dict[str, list[str]]]:
    """The specification that a sweep starts from, and the axes in table ``[sweep]`` of the file.

    Raises:
        UsageError: the file is not of that form.
    """
    if file is None:
        return compose(recipe), {}
    table = parse_toml(read_text(file, "sweep"), str(file))
    axes = table.pop("sweep", {})
    if not isinstance(axes, dict) or not all(isinstance(values, list) for values in axes.values()):
        raise UsageError(
            f"[sweep] in {file} must give a list for each path", hint='"objective.beta" = [1, 2, 4]'
        )
    own = ModelSpec.from_table(table, where=str(file))
    spec = compose(components=own.components, latent=own.latent)
    return spec, {path: [_text(value) for value in values] for path, values in axes.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _same(path: str, one: Any, other: Any) -> bool:
    """Whether two values are one, whatever they look like in JSON; names of components may have their package before them."""
    if same_setting(path.removeprefix("train."), other, one):
        return True
    if path in SPEC_KINDS:
        return str(one).rpartition("/")[2] == str(other).rpartition("/")[2]
    return bool(json.loads(json.dumps(one, default=str)) == json.loads(json.dumps(other, default=str)))


def _named(values: Mapping[str, str]) -> str:
    """A name that every file system takes; a hash tells those apart that begin alike."""
    name = ",".join(f"{path}={_safe(value)}" for path, value in values.items()) or "run"
    return name if len(name) <= _LONGEST else f"{name[:180]}-{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _safe(value: str) -> str:
    # Windows leaves a dot at the end of a name out.
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", value).strip("_").rstrip(".") or "_"
