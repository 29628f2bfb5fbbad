"""Bidirectional Monte Carlo: the error of annealed importance sampling, on data of the model itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.evaluation import LogMeanExp
from genmod.plugins.metrics._annealing import Path, anneal, anneal_back, schedule
from genmod.plugins.metrics.ais import Chains, Examples, Leapfrogs, Steps, size_for
from genmod.system import drawn_on_cpu

__all__ = ["Bdmc"]


@final
class Bdmc(Metric):
    """A lower and an upper bound on ``log p(x)`` of examples that the model made, and the gap between them.

    ``E[log 1/C Σ_c w_c] ≤ log p(x) ≤ -E[log 1/C Σ_c w'_c]``, ``x ~ p(x|z)``, ``z ~ p(z)``, ``w`` of chains from the
    prior, ``w'`` of chains back from that ``z``, which is a draw of the exact posterior; nats

    The true value lies between them, up to their errors. The gap bounds the error of ``ais`` with the same settings, as far
    as real data are like the model's. From the data of the split only the conditions of a conditional model are used.

    Reference:
        Sandwiching the marginal likelihood using bidirectional Monte Carlo (Grosse et al., 2015), arXiv:1511.02543;
        On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2016), arXiv:1611.04273

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(4, 1, 8, 8)))
        >>> result = evaluate(build(encoder="mlp", latent=2), split, {"name": "bdmc", "steps": 3, "chains": 2})
        >>> [row.name for row in result.rows]
        ['bdmc_lower', 'bdmc_upper', 'bdmc_gap']
    """

    main = "steps"

    def __init__(
        self, *, steps: Steps = 1000, chains: Chains = 16, leapfrogs: Leapfrogs = 10, examples: Examples = 50
    ) -> None:
        self.steps, self.chains, self.leapfrogs, self.examples = steps, chains, leapfrogs, examples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        if model.missing_densities():
            raise UndefinedError(f"the model has no likelihood: {model.missing_densities()}")
        total, size = min(self.examples, len(subject.split)), size_for(self.chains)
        lower, upper, accepted = [], [], []
        for given, x, batch in subject.batches("bdmc", limit=total, size=size):
            prior = given.prior()
            with drawn_on_cpu(model.device):
                z = prior.sample() if prior.batch_shape else prior.sample((len(x),))
                made = given.decode(z).sample()
            below, above, share = self._sandwich(Path(model, made, model.context(batch)), z)
            lower.append(below)
            upper.append(above)
            accepted.append(share)
            subject.progress("bdmc", sum(map(len, accepted)), total)
        details = {
            "steps": self.steps,
            "samples": self.chains,
            "acceptance": torch.cat(accepted).mean().item(),
        }
        found = {
            "bdmc_lower": (torch.cat(lower), "log p(x) of the model's own data from below, by annealing"),
            "bdmc_upper": (
                torch.cat(upper),
                "log p(x) of the model's own data from above, by annealing backwards",
            ),
            "bdmc_gap": (torch.cat(upper) - torch.cat(lower), "bdmc_upper - bdmc_lower"),
        }
        for name, (values, definition) in found.items():
            row = mean_row(name, values, "nats", definition, "lower" if name == "bdmc_gap" else "", details)
            # Another model makes other data, so that there is nothing to compare example by example.
            yield replace(row, examples=None)

    def _sandwich(self, path: Path, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Lower bound, upper bound and the share of accepted moves of each example, ``(B,)`` each."""
        betas = schedule(self.steps)
        there = anneal(path, betas, chains=self.chains, leapfrogs=self.leapfrogs)
        back = anneal_back(path, betas, z, there.steps, chains=self.chains, leapfrogs=self.leapfrogs)
        bounds = []
        for way in (there, back):
            mean = LogMeanExp(len(z), z.device)
            mean.add(way.log_weights)
            bounds.append(mean.value.cpu())
        return bounds[0], -bounds[1], ((there.acceptance + back.acceptance) / 2).cpu()
