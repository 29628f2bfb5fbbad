"""What a model does with examples or latents, as a function of tensors alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily

from genmod import LatentVariableModel, UsageError
from genmod.distributions import Coded
from genmod.evaluation import log_units
from genmod.plugins.formats._draws import Draw, Kind, Replaced, planned
from genmod.plugins.formats._trials import examples
from genmod.system import all_rows_at_once, seeded

__all__ = ["Part", "Program", "Value"]

Part = Literal["encode", "decode", "reconstruct", "sample", "score"]

_OF_LATENTS = ("encode", "decode", "reconstruct")
_MEANINGS = {
    "codes": "places in the codebook",
    "means": "of q(z|x), or the latents of the codes",
    "scales": "standard deviations of q(z|x)",
    "draws": "of q(z|x), whose mean is not known",
    "examples": "values as the data have them",
    "log_likelihood": "nats, of each example",
}
_NUMBERS: Mapping[Kind, str] = {"noise": "standard normal numbers", "uniform": "uniform numbers in [0, 1)"}


@dataclass(frozen=True)
class Value:
    """An input or an output of a program.

    Args:
        name: of it.
        shape: of one example; the batch comes before it.
        meaning: of it, in a few words.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "shape": ["batch", *self.shape], "meaning": self.meaning}


class Program(nn.Module):
    """A part of a model that draws nothing: random numbers are inputs like others.

    Args:
        model: in evaluation mode, on the CPU.
        part: what it computes.
        draws: of latents, for a bound.
        noise: whether examples are drawn from the likelihood, in place of its mean.

    Raises:
        UsageError: the model has no such part, or what it draws cannot be an input.
        UndefinedError: the model has no density, or no prior.
    """

    def __init__(self, model: LatentVariableModel, part: Part, draws: int, noise: bool) -> None:
        super().__init__()
        if part in _OF_LATENTS and not model.has_latents:
            name = model.spec.components["model"].name
            raise UsageError(
                f"model {name!r} has no latents, so that there is nothing to {part}",
                hint="export another part: --part sample, --part score",
            )
        if part == "score":
            model.require_densities("log-likelihood")
        self.model, self.part, self.draws = model, part, draws
        # The mean of a category is none.
        self.noise = noise or (part == "sample" and bool(model.data.columns))
        self.sampler = model.sampler_for(None) if part == "sample" else None
        self.space = model.space if part == "reconstruct" else None
        self.substitutes: Mapping[Any, Callable[..., Any]] = {}
        self.inputs = self._inputs()
        with seeded(0):
            self.plan = planned(self.compute, self.made_up)
            found = self.compute(self.made_up(3), 3)
        for kind, meaning in _NUMBERS.items():
            count = sum(draw.each for draw in self.plan if draw.kind == kind)
            self.inputs += (Value(kind, (count,), meaning),) if count else ()
        self.outputs = tuple(
            Value(name, tuple(tensor.shape[1:]), _MEANINGS[name]) for name, tensor in found.items()
        )

    @property
    def context(self) -> tuple[str, ...]:
        """What each number of the input ``context`` is: a value of a condition, or the logarithm of an exposure."""
        size = sum(each.shape[0] for each in self.inputs if each.name == "context")
        conditions = {} if self.model.conditions is None else self.model.conditions.values
        names = [f"{name}={value}" for name, values in conditions.items() for value in values]
        return tuple([*names, f"log {self._exposure}"][:size])

    @property
    def _exposure(self) -> str:
        return self.model.decoder.exposure if self.model.has_latents else ""

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The outputs in their order, of the inputs in theirs."""
        named = dict(zip((each.name for each in self.inputs), given, strict=True))
        start: dict[Kind, int] = {"noise": 0, "uniform": 0}
        left = iter(self.plan)

        def take(kind: Kind, shape: Sequence[Any], dtype: torch.dtype) -> Tensor:
            draw: Draw = next(left)
            # A copy, since models go on in place with what they have drawn.
            piece = named[kind][:, start[kind] : start[kind] + draw.each].to(dtype).clone()
            start[kind] += draw.each
            if draw.axis is None:
                return piece.reshape(tuple(shape))
            rest = [size for i, size in enumerate(shape) if i != draw.axis]
            return piece.reshape(piece.shape[0], *rest).movedim(0, draw.axis)

        with Replaced(take, self.substitutes):
            found = self.compute(named, given[0].shape[0])
        return tuple(value.contiguous() for value in found.values())

    @all_rows_at_once()
    def compute(self, given: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """The outputs of a batch by name; draws are those of torch, or of the context that it is called in."""
        context = given.get("context")
        match self.part:
            case "encode":
                return _codes(self.model.encode(given["x"], context))
            case "decode":
                return {"examples": self._decoded(given["z"], context)}
            case "reconstruct":
                codes = _codes(self.model.encode(given["x"], context))
                z = codes["means"] if "means" in codes else codes["draws"]
                # The mean of points on a sphere is not on it, and that of classes is no class.
                assert self.space is not None
                z = self.space.settled(z.flatten(1)).reshape(z.shape)
                return {"examples": self._decoded(z, self._exposed(given["x"], context))}
            case "sample":
                return {"examples": self._sampled(size, context)}
            case "score":
                return {"log_likelihood": self._score(given["x"], context)}

    def made_up(self, size: int, seed: int = 0) -> dict[str, Tensor]:
        """Inputs to try it on, by name."""
        with seeded(seed):
            return {each.name: self._made_up(each, size) for each in self.inputs}

    def _made_up(self, value: Value, size: int) -> Tensor:
        model, dtype = self.model, self.model.dtype
        match value.name:
            case "noise":
                return torch.randn(size, *value.shape, dtype=dtype)
            case "uniform":
                return torch.rand(size, *value.shape, dtype=dtype)
            case "x":
                return examples(model.data, size, dtype)
        context = model.asked(None, size)
        if value.name == "context":
            assert context is not None
            return context[:, : value.shape[0]]
        drawn: Tensor = model.encode(examples(model.data, size, dtype), context).sample()
        return drawn

    def _inputs(self) -> tuple[Value, ...]:
        """Those that are no random numbers."""
        model, found = self.model, []
        if self.part in ("encode", "reconstruct", "score"):
            missing = ", NaN where one is missing" if model.data.missing else ""
            found.append(Value("x", model.data.shape, f"values as the data have them{missing}"))
        if self.part == "decode":
            found.append(Value("z", model.latent_shape, "latents"))
        size = 0 if model.conditions is None else model.conditions.size
        size += self.part in ("decode", "sample") and bool(self._exposure)
        if size:
            found.append(Value("context", (size,), "what the model is given, one number for each name"))
        return tuple(found)

    def _decoded(self, z: Tensor, context: Tensor | None) -> Tensor:
        likelihood = self.model.decode(z, context)
        if self.noise:
            drawn: Tensor = likelihood.sample()
            return drawn
        mean: Tensor = likelihood.mean
        several = [column.coded and len(column.values) > 2 for column in self.model.data.modelled]
        return torch.where(torch.tensor(several), likelihood.mode, mean) if any(several) else mean

    def _sampled(self, size: int, context: Tensor | None) -> Tensor:
        if not self.model.has_latents:
            return self.model.draws(size, context, noise=self.noise)
        conditions = self.model.conditions_in(context)
        p = self.model.prior(conditions) if self.sampler is None else self.sampler.given(conditions)
        z: Tensor = p.sample() if p.batch_shape else _several(p, size)
        return self._decoded(z.to(self.model.dtype), context)

    def _score(self, x: Tensor, context: Tensor | None) -> Tensor:
        context = self._exposed(x, context)
        weights = self.model.log_weights(self.model.observe(x), self.draws, context)
        score = weights.logsumexp(0) - math.log(self.draws) if self.draws > 1 else weights[0]
        units = log_units(self.model.data, x)
        return score if units is None else (score + units.flatten(1).nansum(1)).to(score.dtype)

    def _exposed(self, x: Tensor, context: Tensor | None) -> Tensor | None:
        """The context of examples, with their exposure."""
        if not self._exposure:
            return context
        exposure = self.model.decoder.log_exposure(x)[:, None]
        return exposure if context is None else torch.cat([context, exposure], 1)


def _several(p: Distribution, size: int) -> Tensor:
    """So many draws of a distribution without a batch."""
    inner = p
    while isinstance(inner, Independent):
        inner = inner.base_dist
    # Of draws of categories torch makes a plain number, which would be the size of every batch.
    counted = isinstance(inner, Categorical | MixtureSameFamily)
    return p.expand(torch.Size((size,))).sample() if counted else p.sample(torch.Size((size,)))


def _codes(q: Distribution) -> dict[str, Tensor]:
    """What is known of a posterior, under the names that ``genmod encode`` has for it."""
    if isinstance(q, Coded):
        return {"codes": q.codes, "means": q.mean}
    try:
        found = {"means": q.mean}
    except NotImplementedError:
        found = {"draws": q.sample()}
    with suppress(NotImplementedError):
        found["scales"] = q.stddev
    return found
