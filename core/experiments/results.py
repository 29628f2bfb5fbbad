"""The results of an experiment beside the published ones."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from genmod.evaluation.significance import chance_of_difference
from genmod.experiments.compare import LEVEL
from genmod.experiments.experiment import Reproduction
from genmod.system.environment import environment, git_state, versions

__all__ = ["Figure", "results_of"]


def results_of(
    experiment: Reproduction, done: Sequence[Mapping[str, Any]], device: str, command: Sequence[str]
) -> dict[str, Any]:
    """The content of ``results.json``: protocol, runs, numbers, and their comparison with the published ones.

    Args:
        experiment: the experiment.
        done: the results of its models so far.
        device: where they were trained.
        command: that made them.
    """
    table = experiment.table
    figures = _figures(done)
    return {
        "name": experiment.name,
        "quick": experiment.quick,
        **{key: table[key] for key in ("summary", "paper", "protocol")},
        "differences": table.get("differences", ""),
        "budget": {"full": _budget(replace(experiment, quick=False)), "this": _budget(experiment)},
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


def _budget(experiment: Reproduction) -> dict[str, Any]:
    train = experiment.part("train")
    lengths: dict[str, Any] = {key: train[key] for key in ("epochs", "steps", "batch_size") if key in train}
    return {**lengths, "seeds": len(experiment.seeds)}


@dataclass(frozen=True)
class Figure:
    """A number of a run: of its only seed, or the mean over its seeds.

    Args:
        run: name of the run.
        metric: name of the number.
        value: the number.
        standard_error: over seeds where there are several, else over examples; None where it is unknown.
        seeds: number of seeds.
        n: number of seeds or examples that the standard error is from.
        better: ``higher``, ``lower`` or empty.
    """

    run: str
    metric: str
    value: float
    standard_error: float | None
    seeds: int
    n: int
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
            run,
            metric,
            statistics.fmean(values),
            error,
            len(values),
            len(values) if several else rows[0]["n"],
            rows[0]["better"],
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
    """A published ranking of two runs beside ours: confirmed where our difference is significant at 5 %."""
    better = figures.get((claim["better"], claim["metric"]))
    other = figures.get((claim["than"], claim["metric"]))
    if better is None or other is None:
        return {**claim, "difference": None, "verdict": "not measured"}
    gap = better.value - other.value
    ahead = gap if better.better != "lower" else -gap
    error = None
    if better.standard_error is None or other.standard_error is None:
        verdict = "undecided, for want of an uncertainty"
    else:
        error = math.hypot(better.standard_error, other.standard_error)
        p = chance_of_difference(gap, (better.standard_error, better.n), (other.standard_error, other.n))
        verdict = "undecided" if p >= LEVEL else "confirmed" if ahead > 0 else "contradicted"
    return {**claim, "difference": gap, "standard_error": error, "verdict": verdict}
