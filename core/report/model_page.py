"""The content of a page about one model."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import load
from genmod.data.dataset import Dataset, Split, SplitName
from genmod.defaults import METRIC
from genmod.errors import DataError, GenmodError, UndefinedError
from genmod.evaluation import Evaluation
from genmod.evaluation.runner import MetricName, make_metrics, measure, subject_of
from genmod.evaluation.shared import Processes, gathered, turn_of
from genmod.figures import Gap, choose_examples, gap
from genmod.figures.curves import Curve, read_curves
from genmod.figures.scene import encoded_and_compared
from genmod.figures.tables import MOST_ROWS, made_rows
from genmod.figures.tiles import enlargement
from genmod.figures.views import encode_centres, observed
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.summary import Summary, summarize
from genmod.options.text import option_text
from genmod.report.charts import (
    Chart,
    codes_chart,
    dimensions_chart,
    groups_chart,
    spectra_chart,
    table_charts,
)
from genmod.report.commands import build_command, train_command
from genmod.report.galleries import TILES, Gallery, Painter
from genmod.report.images import most_pixels
from genmod.system.device import pick_device
from genmod.system.environment import environment, versions

__all__ = ["ModelPage", "look_at"]

_ENCODED = 2000
"""Examples whose codes the gaps are measured with, as many as ``genmod latents`` takes."""

_MAY_BE_UNDEFINED = ("spectra", "codes", "table", "dimensions", "gaps", "groups")
"""Parts in whose place a page says why they are missing; all models have the others."""


@dataclass(frozen=True)
class ModelPage:
    """The content of a page about one model.

    Args:
        name: of its directory.
        summary: parts, shapes, sizes.
        data: what the examples are, in words.
        record: ``run.json``; empty where nothing was trained.
        settings: of the training, as texts.
        evaluation: its numbers.
        curves: of its training.
        samples, neighbours, reconstructions, worst, interpolations, traversals: its pictures.
        spectra: of pictures and of the errors of reconstructions; None of other data.
        table: of a table, its columns, and their pairs and correlations, data beside generated rows; None of other data.
        codes: its codes on a plane.
        dimensions: activity of its latent dimensions.
        groups: activity of their groups; None where there are none.
        gaps: share of draws that decode to what is like no example, as ``genmod latents`` tells it; None where undefined.
        commands: the command lines that make it again.
        seeded: whether the seed of its initial weights is known.
        facts: machine and versions, by name; of the training, else of this page.
        problems: why there are no codes, no dimensions or no gaps.
    """

    name: str
    summary: Summary
    data: str
    record: Mapping[str, Any]
    settings: Mapping[str, str]
    evaluation: Evaluation
    curves: tuple[Curve, ...]
    samples: Gallery
    neighbours: Gallery
    reconstructions: Gallery
    worst: Gallery
    interpolations: Gallery
    traversals: Gallery
    spectra: Chart | None
    table: tuple[list[Chart], list[Chart]] | None
    codes: Chart | None
    dimensions: Chart | None
    groups: Chart | None
    gaps: Gap | None
    commands: tuple[str, ...]
    seeded: bool
    facts: Mapping[str, str]
    problems: Mapping[str, str]


def look_at(
    place: ModelDirectory,
    dataset: Dataset,
    metrics: Sequence[MetricName],
    *,
    split: SplitName,
    seed: int,
    device: str,
    models: int,
    on_progress: Callable[[str, int, int], None] | None,
    processes: Processes | None,
) -> ModelPage:
    """Measure a model and make its pictures.

    Args:
        place: of the model.
        dataset: its data.
        metrics: beside the ELBO and its parts.
        split: to measure and show.
        seed: of everything that is drawn.
        device: where to compute.
        models: how many share the page, and so its size.
        on_progress: called with the task, the steps done and their total.
        processes: that share the examples to measure and the pictures to make; all have the same page.
    """
    directory = place.path
    _, data = place.read_spec()
    model = load(place, device=str(pick_device(device)))
    dataset = model.suited(dataset)
    examples = dataset.split(split)
    if len(examples) == 0:
        raise DataError(f"the {split} split has no examples")
    wanted = list(dict.fromkeys([METRIC, *(m for m in metrics if isinstance(m, str))]))
    wanted += [m for m in metrics if not isinstance(m, str)]  # type: ignore[misc]
    subject = subject_of(model, dataset, split=split, seed=seed, on_progress=on_progress, processes=processes)
    evaluation = measure(make_metrics(wanted), subject)
    painter = Painter(
        model,
        examples,
        split,
        lambda: dataset.split("train"),
        seed=seed,
        most=most_pixels(data, models * TILES),
        alone=models == 1,
    )
    parts = _parts(model, dataset, examples, painter, evaluation, str(directory), split=split, seed=seed)
    found = _made(parts, on_progress, processes)
    record = place.read_record()
    return ModelPage(
        name=str(directory),
        summary=summarize(model),
        data=_data(model, dataset),
        record=record,
        settings={k: option_text(v) for k, v in (record.get("settings") or {}).items()},
        evaluation=evaluation,
        curves=_curves(place),
        commands=_commands(model, directory, record, split, seed, metrics),
        seeded=model.weights_seed is not None,
        facts=_facts(record, str(model.device)),
        problems={name: why for name, (_, why) in found.items() if why},
        **{name: part for name, (part, _) in found.items()},
    )


def _parts(
    model: LatentVariableModel,
    dataset: Dataset,
    examples: Split,
    painter: Painter,
    evaluation: Evaluation,
    directory: str,
    *,
    split: SplitName,
    seed: int,
) -> dict[str, Callable[[], Any]]:
    """What makes each part of a page, by its name; none depends on another, so that processes share them one by one."""
    data = model.data

    def dimensions() -> Chart:
        return dimensions_chart(*painter.activity(), painter.variables, f"dimensions {directory}")

    def groups() -> Chart | None:
        if len(painter.variables.groups) < 2:
            return None
        return groups_chart(*painter.activity(), painter.variables, f"groups {directory}")

    def spectra() -> Chart | None:
        if not data.is_image:
            return None
        return spectra_chart(*painter.spectra(), f"spectra {directory}")

    def table() -> tuple[list[Chart], list[Chart]] | None:
        if len(data.shape) != 1:
            return None
        rows = choose_examples(examples, MOST_ROWS, seed=seed)
        made = made_rows(model, rows, seed=seed).cpu()
        return table_charts(data.values(rows.x).float(), made, data, f"table {directory}")

    def codes() -> Chart:
        return codes_chart(model, dataset.info, *painter.codes(), f"codes {directory}")

    def gaps() -> Gap:
        reference = None if split == "train" else dataset.split("train")
        batch, others = encoded_and_compared(model, examples, reference, _ENCODED, seed=seed)
        context = model.context(batch)
        seen = observed(model, batch.x, seed=seed)
        z = encode_centres(model, seen, context=context, seed=seed)
        return gap(model, z, others.x, context=context, seed=seed)

    return {
        "samples": painter.samples,
        "neighbours": painter.neighbours,
        "reconstructions": lambda: painter.reconstructions(evaluation),
        "worst": lambda: painter.worst(evaluation),
        "interpolations": painter.interpolations,
        "traversals": painter.traversals,
        "spectra": spectra,
        "codes": codes,
        "table": table,
        "dimensions": dimensions,
        "gaps": gaps,
        "groups": groups,
    }


def _made(
    parts: Mapping[str, Callable[[], Any]],
    on_progress: Callable[[str, int, int], None] | None,
    processes: Processes | None,
) -> dict[str, tuple[Any, str]]:
    """Each part, or why there is none; processes share the work, and all have what is made."""

    def progress(done: int) -> None:
        if on_progress is not None:
            on_progress("drawing", done, len(parts))

    def made() -> Iterator[tuple[Any, str]]:
        for done, (name, make) in list(enumerate(parts.items()))[turn_of(processes)]:
            progress(done)
            yield _attempt(make) if name in _MAY_BE_UNDEFINED else (make(), "")

    found = dict(zip(parts, gathered(processes, made), strict=True))
    progress(len(parts))
    return found


def _attempt(make: Callable[[], Any]) -> tuple[Any, str]:
    """What is made, or why there is none."""
    try:
        return make(), ""
    except GenmodError as error:
        return None, str(error)


def _curves(place: ModelDirectory) -> tuple[Curve, ...]:
    try:
        return tuple(read_curves([place]))
    except UndefinedError:
        return ()


def _data(model: LatentVariableModel, dataset: Dataset) -> str:
    data = model.data
    shape = "×".join(map(str, data.shape))
    values = "counts" if data.counts else f"{data.levels} levels" if data.levels else "continuous values"
    sizes = ", ".join(f"{len(dataset.split(name)):,} {name}" for name in ("train", "validation", "test"))
    classes = f", {len(data.classes)} classes" if data.classes else ""
    missing = ", values missing" if data.missing else ""
    name = model.spec.components["dataset"].name
    small = enlargement(data)
    shown = f"; shown: {small}" if small else ""
    return f"{name}: {shape}, {values}{classes}{missing}; {sizes} examples{shown}"


def _commands(
    model: LatentVariableModel,
    directory: Path,
    record: Mapping[str, Any],
    split: str,
    seed: int,
    metrics: Sequence[MetricName],
) -> tuple[str, ...]:
    found = [build_command(model.spec, model.data, directory, seed=model.weights_seed)]
    if record:
        found.append(train_command(record.get("settings") or {}, directory))
    named = ",".join(each for each in metrics if isinstance(each, str))
    options = [*(["--metric", named] if named else [])]
    options += [*(["--split", split] if split != "test" else []), *(["--seed", str(seed)] if seed else [])]
    return (*found, shlex.join(["genmod", "report", str(directory), *options]))


def _facts(record: Mapping[str, Any], device: str) -> dict[str, str]:
    """Versions and machine of the training; of this page, if the model was not trained."""
    found = {**(record.get("versions") or versions()), **(record.get("environment") or environment(device))}
    git = record.get("git")
    if isinstance(git, Mapping):
        changed = ", changed since" if git.get("changed") else ""
        found["git"] = f"{git.get('commit')}{changed}"
    command = record.get("command")
    if isinstance(command, list):
        found["started as"] = shlex.join(map(str, command))
    return {name.replace("_", " "): str(value) for name, value in found.items()}
