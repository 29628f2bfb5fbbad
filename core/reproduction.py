"""Published experiments as files: what is run, what the paper found, and what comes out here."""

import json
import math
import statistics
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genmod.bundle import is_trained, load, read_spec
from genmod.composition import compose
from genmod.environment import environment, git_state, versions
from genmod.errors import FileError, UsageError
from genmod.files import write_json
from genmod.registry import current_registry
from genmod.spec import SPEC_KINDS, ModelSpec
from genmod.sweep import train_or_go_on
from genmod.training.settings import TrainSettings

__all__ = ["Reproduction", "Trial", "reproduce"]

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

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """One model of an experiment, with one seed.

    Args:
        run: name of the run in the file.
        seed: of weights, order of data, noise and evaluation.
        spec: of the model.
        settings: of its training.
        sampler: what is fitted to its codes afterwards, a name or a table; nothing where it is empty.
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
        name: what it is called.
        table: the file.
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
            from genmod.spec import read_text

            return cls.from_toml(path.stem, read_text(path, "experiment"), quick=quick)
        found = current_registry().find("reproduction", name)
        return cls.from_toml(found.component.name, found.text(), quick=quick)

    @classmethod
    def from_toml(cls, name: str, text: str, *, quick: bool = False) -> "Reproduction":
        """An experiment from the text of its file.

        Raises:
            UsageError: it is no TOML, or no experiment.
        """
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(f"{name} is no TOML: {error}") from None
        return cls(name, table, quick)

    @property
    def metrics(self) -> list[Any]:
        """What is measured of each model."""
        return list(self._part("evaluate").get("metrics", ["elbo"]))

    @property
    def seeds(self) -> list[int]:
        """The seeds that each run is made with."""
        shared = self.table.get("seeds", [0])
        return list(self.table.get("quick", {}).get("seeds", shared) if self.quick else shared)

    def _part(self, name: str) -> dict[str, Any]:
        shared = dict(self.table.get(name, {}))
        return shared | (self.table.get("quick", {}).get(name, {}) if self.quick else {})

    def _trials(self) -> Iterator[Trial]:
        for run in self.table["run"]:
            build = {**self._part("build"), **run.get("build", {})}
            settings = {**self._part("train"), **run.get("train", {})}
            if self.quick:
                settings |= run.get("quick", {}).get("train", {})
                build |= run.get("quick", {}).get("build", {})
            for seed in self.seeds:
                TrainSettings(**_known(settings), seed=seed)
                folder = run["name"] if len(self.seeds) == 1 else f"{run['name']}-seed{seed}"
                yield Trial(
                    run["name"],
                    seed,
                    _spec(build),
                    {**settings, "seed": seed},
                    run.get("sampler", ""),
                    folder,
                )


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(settings) - set(TrainSettings.names()))
    if unknown:
        raise UsageError(
            f"no such training setting: {', '.join(unknown)}",
            hint=f"settings: {', '.join(TrainSettings.names())}",
        )
    return dict(settings)


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


def reproduce(
    experiment: Reproduction,
    directory: Path,
    *,
    root: Path | None = None,
    device: str = "auto",
    command: Sequence[str] = (),
    tell: Progress = lambda text: None,
    on_event: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Run an experiment, or go on with it, and compare what comes out with what was published.

    Each model has a directory of its own below ``directory``; what is done there is left alone, what was stopped goes
    on. ``results.json`` is written after each.

    Args:
        experiment: what to run.
        directory: where.
        root: folder with data files.
        device: where models are trained and measured.
        command: that made it, for the record.
        tell: called with a line on what is done now.
        on_event: called with news of the training.

    Returns:
        The content of ``results.json``.

    Raises:
        FileError: a directory below holds another model, or another run of it.
    """
    done = []
    directory.mkdir(parents=True, exist_ok=True)
    for number, trial in enumerate(experiment.trials, 1):
        tell(f"model {number} of {len(experiment.trials)}: {trial.folder}")
        done.append(_run(experiment, trial, directory / trial.folder, root, device, tell, on_event))
        results = _results(experiment, done, device, command)
        write_json(directory / "results.json", results)
    return results


def _run(
    experiment: Reproduction,
    trial: Trial,
    place: Path,
    root: Path | None,
    device: str,
    tell: Progress,
    on_event: Callable[[Any], None] | None,
) -> dict[str, Any]:
    """Train one model, unless that is done, fit its sampler, and measure it."""
    from genmod.assembly import open_dataset
    from genmod.evaluation import evaluate
    from genmod.fitting import fit_sampler

    settings = {**trial.settings, "device": device}
    _check_same(trial, place, settings)
    train_or_go_on(trial.spec, place, settings, root=root, on_event=on_event)
    measured = place / "measured.json"
    wanted = {
        "metrics": experiment.metrics,
        "evaluate": experiment._part("evaluate"),
        "sampler": trial.sampler,
    }
    record = json.loads((place / "run.json").read_text(encoding="utf-8"))
    if measured.is_file():
        before = json.loads(measured.read_text(encoding="utf-8"))
        if {key: before.get(key) for key in wanted} == wanted:
            return dict(before["result"])
    how = experiment._part("evaluate")
    model = load(place, weights=how.get("weights", "best"), device="cpu" if device == "auto" else device)
    dataset = open_dataset(model.spec, root)
    tell(f"measuring {trial.folder}")
    start = time.perf_counter()
    if trial.sampler:
        fit_sampler(model, dataset, trial.sampler, seed=trial.seed)
    evaluation = evaluate(model, dataset, experiment.metrics, split=how.get("split", "test"), seed=trial.seed)
    result = {
        "run": trial.run,
        "seed": trial.seed,
        "status": record["status"],
        "steps": record["step"],
        "epochs": _epochs(place),
        "train_seconds": record["seconds"],
        "measure_seconds": round(time.perf_counter() - start, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "evaluation": evaluation.to_json(),
        "curve": _curve(place),
    }
    result = _plain_data(result)
    write_json(measured, {**wanted, "result": result})
    return result


def _check_same(trial: Trial, place: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to take another model, or one that was trained otherwise, for this one.

    Raises:
        FileError: the directory holds it; says what differs.
    """
    from genmod.assembly import resolve

    if not is_trained(place):
        return
    there, _ = read_spec(place)
    wanted = resolve(trial.spec)
    gaps = [
        f"{kind} is {_plain(there, kind)}, not {_plain(wanted, kind)}"
        for kind in SPEC_KINDS
        if kind in wanted.components and _plain(there, kind) != _plain(wanted, kind)
    ]
    record = json.loads((place / "run.json").read_text(encoding="utf-8"))
    was, now = TrainSettings.from_json(record["settings"]), TrainSettings(**settings)
    gaps += [
        f"{name} was {getattr(was, name)!r}, not {getattr(now, name)!r}"
        for name in TrainSettings.names()
        if name != "device" and getattr(was, name) != getattr(now, name)
    ]
    if gaps:
        raise FileError(
            f"{place} holds another run: {'; '.join(gaps)}", hint="choose another folder with -o DIR"
        )


def _plain_data(value: Any) -> Any:
    """As JSON has it: lists for tuples, and None for numbers that it does not have."""
    if isinstance(value, Mapping):
        return {str(key): _plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(spec: ModelSpec, kind: str) -> Any:
    part = spec.components.get(kind)
    return None if part is None else (part.name, json.loads(json.dumps(dict(part.options))))


def _rows(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def _epochs(place: Path) -> float:
    return max((row["epoch"] for row in _rows(place)), default=0.0)


def _curve(place: Path, most: int = 60) -> list[list[float]]:
    """Epoch and validation loss, at most ``most`` points evenly chosen, the last among them."""
    rows = [[row["epoch"], round(row["loss"], 4)] for row in _rows(place) if row["split"] == "validation"]
    step = math.ceil(len(rows) / most) or 1
    return rows[::-1][::step][::-1]


def _results(
    experiment: Reproduction, done: Sequence[Mapping[str, Any]], device: str, command: Sequence[str]
) -> dict[str, Any]:
    table = experiment.table
    figures = _figures(done)
    return {
        "name": experiment.name,
        "quick": experiment.quick,
        **{key: table[key] for key in ("summary", "paper", "protocol")},
        "differences": table.get("differences", ""),
        "budget": {"full": _budget(table, quick=False), "this": _budget(table, quick=experiment.quick)},
        "command": list(command),
        "versions": versions(),
        "environment": environment("cpu" if device == "auto" else device),
        "git": git_state(),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": len(done) == len(experiment.trials),
        "seeds": experiment.seeds,
        "figures": [asdict(each) for each in figures.values()],
        "targets": [_judged(target, figures) for target in table.get("target", [])],
        "claims": [_claimed(claim, figures) for claim in table.get("claim", [])],
        "runs": list(done),
    }


def _budget(table: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
    merged = {**table.get("train", {}), **(table.get("quick", {}).get("train", {}) if quick else {})}
    seeds = table.get("quick", {}).get("seeds", table.get("seeds", [0])) if quick else table.get("seeds", [0])
    return {
        **{key: merged[key] for key in ("epochs", "steps", "batch_size") if key in merged},
        "seeds": len(seeds),
    }


@dataclass(frozen=True)
class Figure:
    """A number of a run: of its only seed, or the mean over its seeds.

    Args:
        run: name of the run.
        metric: which number.
        value: the number.
        standard_error: over seeds where there are several, else over examples; None where it is not known.
        seeds: how many.
        better: which way is better.
    """

    run: str
    metric: str
    value: float
    standard_error: float | None
    seeds: int
    better: str


def _figures(done: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Figure]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in done:
        for row in result["evaluation"]["rows"]:
            found.setdefault((result["run"], row["name"]), []).append(row)
    figures = {}
    for (run, metric), rows in found.items():
        values = [row["value"] for row in rows]
        several = len(values) > 1
        single = rows[0]["standard_error"]
        error = statistics.stdev(values) / math.sqrt(len(values)) if several else single
        figures[run, metric] = Figure(
            run, metric, statistics.fmean(values), error, len(values), rows[0]["better"]
        )
    return figures


def _judged(target: Mapping[str, Any], figures: Mapping[tuple[str, str], Figure]) -> dict[str, Any]:
    """A published number beside ours."""
    ours = figures.get((target["run"], target["metric"]))
    if ours is None:
        return {**target, "ours": None, "verdict": "not measured"}
    gap = ours.value - target["value"]
    ahead = gap < 0 if ours.better == "lower" else gap > 0
    if abs(gap) <= target["tolerance"]:
        verdict = "reproduced"
    else:
        verdict = "better than published" if ahead and ours.better else "missed"
    return {
        **target,
        "ours": ours.value,
        "standard_error": ours.standard_error,
        "difference": gap,
        "verdict": verdict,
    }


def _claimed(claim: Mapping[str, Any], figures: Mapping[tuple[str, str], Figure]) -> dict[str, Any]:
    """Which of two is better, as published and here: confirmed from a gap of two standard errors."""
    better = figures.get((claim["better"], claim["metric"]))
    other = figures.get((claim["than"], claim["metric"]))
    if better is None or other is None:
        return {**claim, "difference": None, "verdict": "not measured"}
    gap = better.value - other.value
    ahead = gap if better.better != "lower" else -gap
    error = None
    if better.standard_error is not None and other.standard_error is not None:
        error = math.hypot(better.standard_error, other.standard_error)
    if error is None:
        verdict = "undecided, for want of an uncertainty"
    elif ahead > 2 * error:
        verdict = "confirmed"
    else:
        verdict = "contradicted" if ahead < -2 * error else "undecided"
    return {**claim, "difference": gap, "standard_error": error, "verdict": verdict}
