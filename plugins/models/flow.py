"""A normalising flow of the data."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import (
    DataInfo,
    Doc,
    GenerativeModel,
    ModelSpec,
    Observations,
    Part,
    Terms,
    UsageError,
    diagonal_normal,
)
from genmod.plugins.posteriors._neural_maps import NeuralMaps
from genmod.plugins.posteriors._transported import Transported

__all__ = ["FlowModel"]

_EDGE = 1e-6
"""Share of the range that values keep from its ends, where the density is infinite or zero."""


@final
class FlowModel(GenerativeModel):
    """A standard normal carried to the data through invertible maps; the loss is ``-log p(x)``, nats.

    ``x = g(μ + σ f_T(… f_1(ε)))``, ``ε ~ N(0, I)``, ``log p(x) = log p(ε) - Σ_t log |det df_t| - Σ_i log σ_i |dg/dy_i|``

    ``g`` is the sigmoid of data between two bounds, and the identity of others; ``μ`` and ``σ`` are taken from training
    examples. Levels are spread over their cells, so that ``log p`` bounds the log-probability of a cell over its width;
    samples are the levels of the cells, with noise values within. It can be conditional. It has no latents to encode.

    Densities take one pass; draws of ``maf`` as many as there are values.

    Reference:
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), arXiv:1705.07057;
        Density Estimation Using Real NVP (Dinh et al., 2016), arXiv:1605.08803;
        Neural Spline Flows (Durkan et al., 2019), arXiv:1906.04032

    Raises:
        UsageError: the data are counts, categories or bounded on one side alone, or values may be missing.

    Example:
        >>> model = FlowModel(ModelSpec(), DataInfo((2,), low=-math.inf, high=math.inf), kind="realnvp")
        >>> model.sample(5, seed=0).shape, model.log_weights(torch.zeros(3, 2), 4).shape
        (torch.Size([5, 2]), torch.Size([4, 3]))
    """

    takes_conditions = True
    zeros: Tensor

    def __init__(
        self,
        spec: ModelSpec,
        data: DataInfo,
        *,
        kind: Annotated[Literal["maf", "nsf", "realnvp"], Doc("what the maps are")] = "maf",
        transforms: Annotated[int, Ge(1), Doc("number of maps")] = 5,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]], Doc("units of the hidden layers of each map's network")
        ] = (256, 256),
    ) -> None:
        super().__init__(spec, data)
        self.bounded = math.isfinite(data.high - data.low)
        coded = [column.name for column in data.modelled if column.coded]
        half = not self.bounded and (math.isfinite(data.low) or math.isfinite(data.high))
        if data.counts or data.missing or coded or half:
            what = (
                "counts"
                if data.counts
                else f"the categories {', '.join(coded)}"
                if coded
                else f"{data.low:g} to {data.high:g}"
            )
            raise UsageError(
                f"model 'flow' is one of real numbers between two bounds or without any, and the data are {what}"
                f"{', some missing' if data.missing else ''}",
                hint="build without --model",
            )
        size = self.conditions.size if self.conditions else 0
        self.maps = NeuralMaps(kind, data.size, size, transforms, hidden)
        self.standard = _Standard(self, data.size)
        self.register_buffer("zeros", torch.zeros(data.size), persistent=False)

    @property
    def observations(self) -> Observations:
        low, high = self._ends()
        on = constraints.interval(low, high) if self.bounded else constraints.real
        support = constraints.independent(on, len(self.data.shape))
        return Observations(self.data, support, dequantize=self.data.levels is not None)

    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        log_prob = self.log_weights(self.observe(x), 1, context)[0]
        return Terms(-log_prob.mean(), {"elbo": log_prob})

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        y, log_det = self.unbounded(x.flatten(1))
        y, scale = (y - self.standard.mean) / self.standard.scale, self.standard.scale
        found = self._carried(context).log_prob(y) + log_det - scale.log().sum()
        return found.expand(samples, -1)

    def draws(self, n: int, context: Tensor | None = None, *, noise: bool = False) -> Tensor:
        p = self._carried(context)
        y = p.sample(() if p.batch_shape else (n,))
        x = (self.standard.mean + self.standard.scale * y).reshape(n, *self.data.shape)
        if self.bounded:
            low, high = self._ends()
            x = low + (high - low) * x.sigmoid()
        if self.data.levels is None or noise:
            return x
        step = (self.data.high - self.data.low) / (self.data.levels - 1)
        steps = ((x - self.data.low) / step).round().clamp(0, self.data.levels - 1)
        return self.data.low + steps * step

    def unbounded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Observations on the whole line, ``(B, n)``, and ``log |det dy/dx|``, ``(B,)``."""
        if not self.bounded:
            return x, x.new_zeros(len(x))
        low, high = self._ends()
        u = ((x - low) / (high - low)).clamp(_EDGE, 1 - _EDGE)
        logs = u.log() + (-u).log1p()
        return u.logit(), -(logs + math.log(high - low)).sum(1)

    def _ends(self) -> tuple[float, float]:
        """The range of the observations: that of the cells of levels."""
        low, high = self.data.low, self.data.high
        half = (high - low) / (self.data.levels - 1) / 2 if self.data.levels else 0.0
        return low - half, high + half

    def _carried(self, context: Tensor | None) -> Transported:
        zeros = self.zeros if context is None else self.zeros.expand(len(context), -1)
        return Transported(diagonal_normal(zeros, zeros, 1), self.maps.maps(context), (self.data.size,))


@final
class _Standard(Part):
    """Mean and standard deviation of unbounded values, from training examples."""

    examples_wanted = 10_000
    mean: Tensor
    scale: Tensor

    def __init__(self, model: FlowModel, size: int) -> None:
        super().__init__()
        # In a tuple, so that it is not a submodule of its own part.
        self._model = (model,)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def prepare(self, examples: Tensor) -> None:
        (model,) = self._model
        y, _ = model.unbounded(model.observe(examples.to(model.device)).flatten(1))
        self.mean.copy_(y.mean(0))
        # Values that never vary keep their unit.
        self.scale.copy_(torch.where(y.std(0) > _EDGE, y.std(0), 1.0) if len(y) > 1 else self.scale)
