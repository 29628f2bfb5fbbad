"""ELBO, rate, distortion and bits per dimension, with standard errors."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from genmod.dataset import Split
from genmod.errors import UndefinedError
from genmod.model import LatentVariableModel
from genmod.random import seed_for, seeded

__all__ = ["Evaluation", "Row", "bits_per_dim", "evaluate"]

_CHUNK = 500
"""Examples at a time; a constant, because the draws are seeded for each chunk."""

_DEFINITIONS = {
    "elbo": "E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)), a lower bound on log p(x)",
    "rate": "KL(q(z|x) ‖ p(z))",
    "distortion": "-E_q[log p(x|z)]",
    "bits_per_dim": "-ELBO in bits for each value of an example, a bound on its code length",
}


@dataclass(frozen=True)
class Row:
    """A number with its uncertainty.

    Args:
        name: what it is called.
        value: the mean over the examples.
        standard_error: of that mean, over the examples.
        n: number of examples.
        unit: ``nats`` for each example, or ``bits``.
        definition: what it is, in one line.
    """

    name: str
    value: float
    standard_error: float
    n: int
    unit: str
    definition: str


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one model on one split, and why others are not there.

    Args:
        rows: the numbers.
        undefined: name of a number → why this model or these data have none.
        samples: draws of the latents for each example.
        seed: of those draws.
    """

    rows: tuple[Row, ...]
    undefined: Mapping[str, str]
    samples: int
    seed: int

    def __getitem__(self, name: str) -> Row:
        """The number of that name.

        Raises:
            UndefinedError: this model or these data have none; says why.
            KeyError: there is no number of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        if name in self.undefined:
            raise UndefinedError(f"there is no {name}: {self.undefined[name]}")
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


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


@torch.no_grad()
def evaluate(model: LatentVariableModel, split: Split, *, samples: int = 10, seed: int = 0) -> Evaluation:
    """ELBO, rate, distortion and bits per dimension of a split.

    The rate is exact where a closed form is known, else estimated from the same draws. Bits per dimension
    of a continuous likelihood on discrete data are those of the data spread evenly over their
    cells (:meth:`Decoder.dequantized`), which bound the code length from above.

    Args:
        model: put in evaluation mode meanwhile.
        split: the examples.
        samples: draws of the latents for each example.
        seed: of those draws, and of the binarisation where there is one.

    Example:
        >>> from genmod import Batch, TensorSplit, build
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split).rows]
        ['elbo', 'rate', 'distortion', 'bits_per_dim']
    """
    reason = model.missing_densities()
    undefined = {"elbo": reason, "rate": reason, "bits_per_dim": reason} if reason else {}
    cell = None if reason else model.decoder.cell
    if not reason and cell is None:
        undefined["bits_per_dim"] = (
            "the data are continuous, so their code length depends on the unit of measurement"
        )
    if cell is not None and model.data.missing:
        cell = None
        undefined["bits_per_dim"] = "values are missing, so that examples have different numbers of them"
    # A density of the bare levels is no bound; one of levels spread over their cells is.
    spread = cell is not None and not model.decoder.support.is_discrete and not model.decoder.dequantize
    parts: dict[str, list[Tensor]] = {}
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(split), _CHUNK):
            with seeded(seed_for(seed, "evaluation", start)):
                batch = split.__getitems__(range(start, min(start + _CHUNK, len(split))))
                stored, told = batch.x.to(model.device), model.given(model.context(batch))
                x = model.observe(stored)
                values = _terms(told, x, samples, bound=not reason)
                if cell is not None:
                    bound = values["elbo"]
                    if spread:
                        y = model.decoder.dequantized(model.data.values(stored, model.dtype))
                        bound = _terms(told, y, samples, bound=True)["elbo"]
                    values["bits_per_dim"] = bits_per_dim(bound, model.data.size, cell)
                for name, value in values.items():
                    parts.setdefault(name, []).append(value.cpu().double())
    finally:
        model.train(was_training)
    rows = []
    for name, pieces in parts.items():
        value = torch.cat(pieces)
        error = value.std(correction=1).item() / math.sqrt(len(value)) if len(value) > 1 else math.nan
        unit = "bits" if name == "bits_per_dim" else "nats"
        rows.append(Row(name, value.mean().item(), error, len(value), unit, _DEFINITIONS[name]))
    return Evaluation(tuple(rows), undefined, samples, seed)


def _terms(model: LatentVariableModel, x: Tensor, samples: int, *, bound: bool) -> dict[str, Tensor]:
    """``(B,)`` each: distortion, and rate and ELBO where all parts have densities."""
    q = model.encode(x)
    # One draw at a time keeps memory at that of a training step.
    draws = [q.rsample() for _ in range(samples)]
    distortion = -torch.stack([model.decode(z).log_prob(x) for z in draws]).mean(0)
    if not bound:
        return {"distortion": distortion}
    p = model.prior()
    try:
        rate = kl_divergence(q, p)
    except NotImplementedError:
        rate = torch.stack([q.log_prob(z) - p.log_prob(z) for z in draws]).mean(0)
    return {"elbo": -(distortion + rate), "rate": rate, "distortion": distortion}
