"""Summaries of models: parts, shapes from data to latents and back, numbers of parameters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from genmod.interfaces.given import GivenModel
from genmod.model.resolve import resolve
from genmod.options.schema import differences, to_json
from genmod.options.text import option_text
from genmod.registry.file_version import shortened
from genmod.registry.lookup import Registry
from genmod.spec import SPEC_KINDS, ModelSpec
from genmod.system.html import html_table

__all__ = ["Part", "Stage", "Summary", "columns_table", "summarize"]


_COLUMNS = ("part", "component", "from", "parameters", "options that are not the default")


@dataclass(frozen=True)
class Part:
    """A component of a model.

    Args:
        kind: its kind, such as ``encoder``.
        name: its name.
        provider: distribution that provides it.
        version: version of that distribution.
        options: all options, as in JSON.
        changed: options that differ from the defaults.
        parameters: number of its trainable parameters.
    """

    kind: str
    name: str
    provider: str
    version: str
    options: Mapping[str, Any]
    changed: Mapping[str, Any]
    parameters: int


@dataclass(frozen=True)
class Stage:
    """A tensor on the way from data to latents and back: its shape for one example, and the part that computes it."""

    tensor: str
    made_by: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """A summary of a model; ``str`` of it is a table.

    Args:
        recipe: name of the recipe that the model started from; may be empty.
        parts: its components.
        stages: its tensors, in order.
        parameters: number of trainable parameters; those that parts share count once.
        condition: number of values of each condition, by name.
        given: kinds of the parts that are given them.
        exposure: what the likelihood is given of each example; may be empty.
    """

    recipe: str
    parts: tuple[Part, ...]
    stages: tuple[Stage, ...]
    parameters: int
    condition: Mapping[str, int]
    given: tuple[str, ...] = ()
    exposure: str = ""

    def to_json(self) -> dict[str, Any]:
        """The summary as plain data, as ``genmod build --json`` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join([*_aligned(self.table()), "", *self.sentences()])

    def table(self) -> list[tuple[str, ...]]:
        """The rows of its table, the first of them names of columns."""
        return [_COLUMNS, *self._rows()]

    def sentences(self) -> list[str]:
        """What stands below the table: the shapes on the way, and what the parts are given."""
        stages = self._stages()
        conditions = ", ".join(f"{name} ({size})" for name, size in self.condition.items())
        *first, last = self.given or ("",)
        to = f"{', '.join(first)} and {last}" if first else last
        given = [f"given {conditions}, to {to}"] if conditions else []
        if self.exposure:
            given.append(
                f"given the {self.exposure} l of each example, to decoder, so that the ELBO bounds log p(x|l)"
            )
        return [stages, *given]

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._rows(), f"{self.recipe or 'model'}: {self._stages()}")

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (
                part.kind,
                part.name.rpartition("/")[2],
                f"{part.provider} {shortened(part.version)}".strip() or "your program",
                f"{part.parameters:,}" if part.parameters else "-",
                " ".join(f"{name}={option_text(value)}" for name, value in part.changed.items()),
            )
            for part in self.parts
        ]
        return [*rows, ("total", "", "", f"{self.parameters:,}", "")]

    def _stages(self) -> str:
        return " → ".join(f"{stage.made_by} {'×'.join(map(str, stage.shape))}" for stage in self.stages)


def summarize(model: GivenModel, *, registry: Registry | None = None) -> Summary:
    """The summary of a model, which may be on the ``meta`` device.

    Args:
        model: a model of :func:`genmod.build` or :func:`genmod.load`.
        registry: where its components are looked up; the current one by default.

    Raises:
        PluginError: the plugin of a component is missing or broken.

    Example:
        >>> import genmod
        >>> summary = summarize(genmod.build(encoder="mlp", latent=2, settings={"objective.beta": 4.0}))
        >>> [stage.shape for stage in summary.stages]
        [(1, 8, 8), (256,), (2,), (1, 8, 8), (1, 8, 8)]
        >>> [(part.kind, part.changed) for part in summary.parts if part.changed]
        [('decoder', {'binarize': 'dynamic'}), ('objective', {'beta': 4.0})]
    """
    spec = resolve(model.spec, registry=registry)
    parts = tuple(_part(model, kind, spec) for kind in SPEC_KINDS if kind in spec.components)
    condition = {} if model.conditions is None else {n: len(v) for n, v in model.conditions.values.items()}
    if "model" in spec.components:
        stages = tuple(Stage("x", by, model.data.shape) for by in ("data", "model"))
        return Summary(
            spec.recipe or f"model {spec.components['model'].name}",
            parts,
            stages,
            _count(model.parameters()),
            condition,
            ("model",) if condition else (),
        )
    stages = (
        Stage("x", "data", model.data.shape),
        Stage("features", "encoder", model.encoder.feature_shape),
        Stage("z", "posterior", model.latent_shape),
        Stage("parameters", "network", model.decoder.parameter_shape),
        Stage("x", "decoder", model.data.shape),
    )
    wants = ["prior"] if getattr(model.prior, "wants_context", False) else []
    wants += ["decoder"] if model.decoder.wants_conditions else []
    given = ("encoder", "network", *wants) if condition else ()
    count, exposure = _count(model.parameters()), model.decoder.exposure
    return Summary(model.spec.recipe, parts, stages, count, condition, given, exposure)


def _part(model: GivenModel, kind: str, spec: ModelSpec) -> Part:
    part, found = spec.components[kind], spec.resolved[kind]
    changed = to_json(found.cls, differences(found.cls, found.options))
    module: Any = model if kind == "model" else getattr(model, kind, None)
    parameters = _count(module.parameters() if module is not None else ())
    return Part(kind, part.name, part.provider, part.version, dict(part.options), changed, parameters)


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters if p.requires_grad)


def columns_table(model: GivenModel) -> list[tuple[str, ...]]:
    """What was decided for each column of a table: its kind, type, values, and how it is modelled; names come first."""
    from genmod.data.column import Column

    likelihoods = iter(getattr(getattr(model, "decoder", None), "by_column", ()))

    def values(column: Column) -> str:
        if column.values:
            shown = ", ".join(map(str, column.values[:4]))
            return shown if len(column.values) <= 4 else f"{len(column.values):,}: {shown}, …"
        return "" if column.low is None else f"{column.shown(column.low)} to {column.shown(column.high)}"

    def how(column: Column) -> str:
        if column.given:
            return "given to the model where it is conditioned on it"
        if not column.modelled:
            return "filled in" if column.kind == "constant" else "left out"
        whole = model.spec.components.get("decoder") or model.spec.components["model"]
        likelihood = next(likelihoods, whole.name)
        return (
            f"{likelihood} of log(x + {column.offset:g})"
            if column.offset
            else (f"{likelihood} of log x" if column.kind == "positive" else likelihood)
        )

    head = ("column", "kind", "type", "missing", "values", "modelled as")
    rows = [
        (c.name, c.kind, c.dtype, "some" if c.missing else "", values(c), how(c)) for c in model.data.columns
    ]
    return [head, *rows]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i == 3 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
