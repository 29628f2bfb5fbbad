"""A published experiment as a file: its models, their training, metrics, and the numbers of the paper."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genmod.defaults import METRIC
from genmod.errors import UsageError
from genmod.experiments.sweep import known_settings
from genmod.model.build import compose
from genmod.registry.lookup import current_registry
from genmod.spec import SPEC_KINDS, ModelSpec
from genmod.system.files import read_text
from genmod.system.toml import parse_toml
from genmod.training.settings import TrainSettings

__all__ = ["Reproduction", "Trial"]

_TABLES = {
    "summary": str,
    "paper": str,
    "protocol": str,
    "differences": str,
    "seeds": list,
    "build": dict,
    "train": dict,
    "evaluate": dict,
    "quick": dict,
    "run": list,
    "target": list,
    "claim": list,
}
_TARGET = {"run", "metric", "value", "tolerance", "source"}
_CLAIM = {"better", "than", "metric", "source"}


@dataclass(frozen=True)
class Trial:
    """One model of an experiment, with one seed.

    Args:
        run: name of the run in the file.
        seed: of weights, order of data, noise and evaluation.
        spec: of the model.
        settings: of its training.
        sampler: to fit to its codes afterwards, a name or a table; none where it is empty.
        folder: name of its directory.
    """

    run: str
    seed: int
    spec: ModelSpec
    settings: Mapping[str, Any]
    sampler: Any
    folder: str


@dataclass(frozen=True)
class Reproduction:
    """A published experiment.

    Args:
        name: of the experiment.
        table: the content of the file.
        quick: with the smaller budget of its table ``quick``.
    """

    name: str
    table: Mapping[str, Any]
    quick: bool = False
    trials: tuple[Trial, ...] = field(init=False)

    def __post_init__(self) -> None:
        _check(self.name, self.table)
        object.__setattr__(self, "trials", tuple(self._trials()))

    @classmethod
    def find(cls, name: str, *, quick: bool = False) -> "Reproduction":
        """An experiment by the name of a component or by its file, ``mine.toml``.

        Raises:
            UsageError: no such name, or a file that is no experiment.
            FileError: the file cannot be read.
        """
        path = Path(name)
        if path.suffix == ".toml":
            return cls.from_toml(path.stem, read_text(path, "experiment"), quick=quick)
        found = current_registry().find("reproduction", name)
        return cls.from_toml(found.component.name, found.text(), quick=quick)

    @classmethod
    def from_toml(cls, name: str, text: str, *, quick: bool = False) -> "Reproduction":
        """An experiment from the text of its file.

        Raises:
            UsageError: it is no TOML, or no experiment.
        """
        return cls(name, parse_toml(text, name), quick)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of each model."""
        return list(self.part("evaluate").get("metrics", [METRIC]))

    @property
    def seeds(self) -> list[int]:
        """The seeds that each run is made with."""
        shared = self.table.get("seeds", [0])
        return list(self.table.get("quick", {}).get("seeds", shared) if self.quick else shared)

    def part(self, name: str) -> dict[str, Any]:
        """A table of the file, with the changes of the quick version."""
        shared = dict(self.table.get(name, {}))
        return shared | (self.table.get("quick", {}).get(name, {}) if self.quick else {})

    def _trials(self) -> Iterator[Trial]:
        for run in self.table["run"]:
            build = {**self.part("build"), **run.get("build", {})}
            settings = {**self.part("train"), **run.get("train", {})}
            if self.quick:
                settings |= run.get("quick", {}).get("train", {})
                build |= run.get("quick", {}).get("build", {})
            for seed in self.seeds:
                TrainSettings(**known_settings(settings), seed=seed)
                folder = run["name"] if len(self.seeds) == 1 else f"{run['name']}-seed{seed}"
                yield Trial(
                    run["name"],
                    seed,
                    _spec(build),
                    {**settings, "seed": seed},
                    run.get("sampler", ""),
                    folder,
                )


def _spec(build: Mapping[str, Any]) -> ModelSpec:
    parts = {key: value for key, value in build.items() if key in SPEC_KINDS}
    other = sorted(set(build) - set(parts) - {"recipe", "latent", "condition", "set"})
    if other:
        raise UsageError(
            f"[build] has {', '.join(other)}",
            hint=f"it may have: recipe, latent, condition, set, {', '.join(SPEC_KINDS)}",
        )
    return compose(
        build.get("recipe"),
        components=parts,
        latent=build.get("latent"),
        condition=build.get("condition"),
        settings=build.get("set", {}),
    )


def _check(name: str, table: Mapping[str, Any]) -> None:
    """Refuse a file that is no experiment.

    Raises:
        UsageError: something is missing, unknown or of the wrong type.
    """
    wrong = [f"{key} is unknown" for key in table if key not in _TABLES]
    wrong += [
        f"{key} is no {kind.__name__}"
        for key, kind in _TABLES.items()
        if key in table and not isinstance(table[key], kind)
    ]
    wrong += [f"{key} is missing" for key in ("summary", "paper", "protocol", "run") if key not in table]
    runs = [run.get("name") for run in table.get("run", []) if isinstance(run, dict)]
    if len(set(runs)) < len(runs) or not all(isinstance(run, str) and run for run in runs):
        wrong.append("every run needs a name of its own")
    for kind, keys in (("target", _TARGET), ("claim", _CLAIM)):
        for entry in table.get(kind, []):
            if set(entry) != keys:
                wrong.append(f"a {kind} has {', '.join(sorted(entry))}, and needs {', '.join(sorted(keys))}")
            else:
                named = {entry["run"]} if kind == "target" else {entry["better"], entry["than"]}
                wrong += [f"a {kind} is about {run!r}, which is no run" for run in sorted(named - set(runs))]
    if wrong:
        raise UsageError(f"{name} is no experiment: {'; '.join(wrong)}", hint="see genmod show reproduction")
