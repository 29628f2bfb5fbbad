"""Numbers about a model, each with its definition and its uncertainty."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor

from genmod.errors import UndefinedError
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.html import html_table

__all__ = [
    "Evaluation",
    "Row",
    "Undefined",
    "bits_per_dim",
    "given_exposure",
    "mean_row",
    "no_bits",
    "spread",
]


@dataclass(frozen=True)
class Row:
    """A number with its uncertainty.

    Args:
        name: of the number, with its parameters in brackets: ``fid[pixel]``.
        value: the number; a mean over the examples where ``examples`` are given.
        standard_error: of the value; NaN where it is unknown.
        n: number of examples.
        unit: ``nats`` for each example, ``bits``, or empty.
        definition: in one line.
        better: ``higher``, ``lower``, or empty where neither is; comparisons say by it which model is better.
        details: further facts: draws for each example, their effective number, a floor. ``error_of`` where the
            standard error is not that of a sample of the data: ``draws`` for these data, or anything else.
        examples: the number of each example, ``(n,)`` in float64 on the CPU, in the order of the split, for comparisons
            of two models on the same data.
    """

    name: str
    value: float
    standard_error: float
    n: int
    unit: str
    definition: str
    better: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    examples: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.better not in ("", "higher", "lower"):
            raise ValueError(f"better is {self.better!r}, neither 'higher' nor 'lower'")

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the numbers of the examples."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "examples"}


@dataclass(frozen=True)
class Undefined:
    """A number that is undefined for a model or its data.

    Args:
        name: of the number.
        reason: why it is undefined.
    """

    name: str
    reason: str


def mean_row(
    name: str,
    examples: Tensor,
    unit: str,
    definition: str,
    better: str = "",
    details: Mapping[str, Any] | None = None,
) -> Row:
    """The mean over examples, and the standard error of that mean: ``s / sqrt(n)``.

    Args:
        name: of the number.
        examples: the number of each example, ``(n,)``.
        unit: of the number.
        definition: in one line.
        better: ``higher``, ``lower``, or empty where neither is.
        details: further facts.

    Example:
        >>> import torch
        >>> row = mean_row("error", torch.tensor([1.0, 2.0, 3.0]), "", "a number")
        >>> row.value, round(row.standard_error, 4)
        (2.0, 0.5774)
    """
    examples = examples.detach().cpu().double()
    n = len(examples)
    error = examples.std(correction=1).item() / math.sqrt(n) if n > 1 else math.nan
    return Row(
        name, examples.mean().item(), error, n, unit, definition, better, details or {}, examples=examples
    )


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one model on one split.

    Args:
        rows: the numbers.
        undefined: name of an undefined number → why it is undefined.
        warnings: reasons why numbers are less certain than they look.
        seed: of everything that was drawn.
    """

    rows: tuple[Row, ...]
    undefined: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    seed: int = 0

    def __getitem__(self, name: str) -> Row:
        """The number of that name.

        Raises:
            UndefinedError: the number is undefined; says why.
            KeyError: there is no number of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        if name in self.undefined:
            raise UndefinedError(f"there is no {name}: {self.undefined[name]}")
        raise KeyError(name)

    def _repr_html_(self) -> str:
        rows = [
            (
                row.name,
                f"{row.value:.4g}",
                "unknown" if math.isnan(row.standard_error) else f"{row.standard_error:.2g}",
                row.unit,
                f"{row.n:,}",
                row.definition,
            )
            for row in self.rows
        ]
        rows += [(name, "–", "", "", "", f"none: {reason}") for name, reason in self.undefined.items()]
        return html_table(
            ("number", "value", "standard error", "unit", "examples", "what it is"),
            rows,
            "; ".join([f"seed {self.seed}", *self.warnings]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain = {key: value for key, value in asdict(self).items() if key != "rows"}
        return {"rows": [row.to_json() for row in self.rows], **plain}


def bits_per_dim(log_prob: Tensor | float, dims: int, step: float) -> Any:
    """Bits per dimension of discrete data with spacing ``step``, given a density of dequantised data.

    ``-log p / (D ln 2) - log2(step)``: the probability of a cell is about its density times its width. Give
    ``step = 1`` for a probability of the discrete data themselves.

    Args:
        log_prob: nats, any shape.
        dims: ``D``, the number of values in an example.
        step: distance of two neighbouring values in the units of the density.

    Example:
        >>> bits_per_dim(0.0, 10, 1 / 256)
        8.0
    """
    return -log_prob / (dims * math.log(2)) - math.log2(step)


def no_bits(model: LatentVariableModel) -> str:
    """Why a model has no bits per dimension; empty where it has."""
    if model.missing_densities():
        return model.missing_densities()
    if model.observations.cell is None:
        return (
            f"the data are continuous to its {'decoder' if model.has_latents else 'density'}, so their code length depends on "
            "the unit of measurement"
        )
    if model.data.missing:
        return "values are missing, so that examples have different numbers of them"
    return ""


def given_exposure(model: LatentVariableModel) -> tuple[str, dict[str, str]]:
    """What numbers about the likelihood are given of each example: the end of a definition, and a detail; empty for nothing.

    Example:
        >>> import genmod
        >>> given_exposure(genmod.build(encoder="mlp", latent=2))
        ('', {})
    """
    name = model.observations.exposure if model.observations is not None else ""
    return (f"; given the {name} l of each example: log p(x|l)", {"given": name}) if name else ("", {})


def spread(model: LatentVariableModel, stored: Tensor, x: Tensor) -> Tensor:
    """Observations whose density bounds the probability of the data: levels spread evenly over their cells.

    A density of the bare levels is no bound on anything; see :meth:`Decoder.dequantized`. Of a probability, and where
    the decoder spreads them by itself, these are the observations as they are.

    Args:
        model: one with bits per dimension.
        stored: examples, ``(B, *data.shape)``.
        x: the same as observations, ``(B, *data.shape)``.
    """
    of = model.observations
    if of.support.is_discrete or of.dequantize:
        return x
    return of.dequantized(model.data.values(stored.to(model.device), model.dtype))
