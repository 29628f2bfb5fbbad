"""Measuring a model by any metrics."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genmod.data.dataset import Dataset, SplitName
from genmod.defaults import METRIC, NEGATIVE_BOUND
from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.impossible import Limits, impossible, limits_of
from genmod.evaluation.metric import Metric
from genmod.evaluation.row import Evaluation, Row, Undefined
from genmod.evaluation.shared import Processes
from genmod.evaluation.subject import Subject
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import rows_at
from genmod.options.schema import Text, validate
from genmod.options.text import split_texts
from genmod.registry.lookup import current_registry
from genmod.spec import ComponentSpec
from genmod.system.failures import named_failures

__all__ = ["MetricName", "evaluate", "make_metrics", "measure", "parse_metrics", "subject_of"]

MetricName = str | Mapping[str, Any]
"""``elbo``, ``fid[pixel]``, or a table ``{"name": "elbo", "samples": 100}``."""

_NAMED = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<value>[^\[\]]*)\])?")


def evaluate(
    model: LatentVariableModel,
    data: Any,
    metrics: MetricName | Sequence[MetricName] = METRIC,
    *,
    split: SplitName = "test",
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Measure a model on data.

    Args:
        model: put in evaluation mode meanwhile.
        data: a dataset, whose training split is what metrics fit something to; or the examples alone: a split, a tensor or
            whatever :func:`genmod.as_dataset` takes, or a path. All rows of an array or a file are measured;
            ``genmod.as_dataset(x)`` has those that :func:`genmod.train` held out.
        metrics: names, as ``genmod list metric`` has them, some with the value of their main option in brackets; or
            tables with options.
        split: of a dataset.
        seed: of everything that is drawn; the caller's random state does not change.
        on_progress: called with the task, the steps done and their total.

    Returns:
        The numbers, and the reasons for those that are undefined.

    Raises:
        UsageError: an unknown name or wrong options.
        DataError: data that do not suit the model.
        PluginError: a plugin is missing or broken.

    Example:
        >>> from genmod import Batch, TensorSplit, build
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split).rows]
        ['elbo', 'rate', 'distortion', 'bits_per_dim']
    """
    names = [metrics] if isinstance(metrics, str | Mapping) else list(metrics)
    subject = subject_of(model, data, split=split, seed=seed, on_progress=on_progress)
    with named_failures():
        return measure(make_metrics(names), subject)


def subject_of(
    model: LatentVariableModel,
    data: Any,
    *,
    split: SplitName = "test",
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
    processes: Processes | None = None,
) -> Subject:
    """The subject, from the arguments of :func:`evaluate`, and the processes that share its batches.

    Raises:
        DataError: data that do not suit the model.
    """
    data = rows_at(model.spec, model.data, data) if isinstance(data, str | Path) else model.suited(data)
    if not isinstance(data, Dataset):
        return Subject(model, data, seed=seed, on_progress=on_progress, processes=processes)
    train = partial(data.split, "train")
    return Subject(
        model, data.split(split), train=train, seed=seed, on_progress=on_progress, processes=processes
    )


def measure(metrics: Mapping[str, Metric], subject: Subject) -> Evaluation:
    """The numbers that metrics give of one subject.

    Args:
        metrics: name of each where it is undefined → the metric.
        subject: the model and its data.
    """
    rows: dict[str, Row] = {}
    undefined: dict[str, str] = {}
    was_training, limits = subject.model.training, limits_of(subject.model)
    subject.model.eval()
    try:
        for label, metric in metrics.items():
            try:
                with torch.no_grad(), named_failures():
                    for found in metric.measure(subject):
                        if isinstance(found, Undefined):
                            undefined[found.name] = found.reason
                        else:
                            rows.setdefault(found.name, _marked(found, subject, limits))
            except UndefinedError as error:
                undefined[label] = error.message
    finally:
        subject.model.train(was_training)
    return Evaluation(tuple(rows.values()), undefined, tuple(subject.warnings), subject.seed)


def _marked(row: Row, subject: Subject, limits: Limits) -> Row:
    """The row, with a note where its number is impossible."""
    if row.examples is None:
        return row
    name, values = row.name.partition("[")[0], row.examples.numpy()
    # The negative log-likelihood is the negative of a bound.
    name, values = (METRIC, -values) if name == NEGATIVE_BOUND else (name, values)
    text = impossible(limits, name, values)
    if not text:
        return row
    subject.warn(f"{row.name} cannot be right: {text}")
    return replace(row, details={**row.details, "impossible": text})


def make_metrics(names: Iterable[MetricName]) -> dict[str, Metric]:
    """Metrics with their options, by the names that they have where they are undefined.

    Raises:
        UsageError: an unknown name, wrong options, or a value in brackets for one that takes none.
        PluginError: a plugin is missing or broken.

    Example:
        >>> metrics = make_metrics(["elbo[50]"])
        >>> metrics["elbo[50]"].samples
        50
    """
    made: dict[str, Metric] = {}
    for name in names:
        label, metric = _make(name)
        while label in made:
            label += "'"
        made[label] = metric
    return made


def _make(given: MetricName) -> tuple[str, Metric]:
    table = {"name": given} if isinstance(given, str) else dict(given)
    label = str(table.get("name", "")).strip()
    match = _NAMED.fullmatch(label)
    if match is None:
        raise UsageError(f"{given!r} is no metric", hint="write NAME or NAME[VALUE]: genmod list metric")
    part = ComponentSpec.from_plain("metric", {**table, "name": match["name"]})
    cls: type[Metric] = current_registry().find("metric", part.name).load()
    options = dict(part.options)
    if match["value"] is not None:
        if not cls.main:
            raise UsageError(
                f"metric {part.name!r} takes nothing in brackets", hint=f"genmod show metric {part.name}"
            )
        options[cls.main] = Text(match["value"])
    return label, cls(**validate(cls, options, part.name, label=f"metric {part.name}"))


def parse_metrics(texts: Iterable[str]) -> list[str]:
    """The metrics of a command line: names with commas between them, where not inside brackets.

    Example:
        >>> parse_metrics(["elbo,fid[pixel]", "nll"])
        ['elbo', 'fid[pixel]', 'nll']
    """
    return [name for text in texts for name in split_texts(text) if name]
