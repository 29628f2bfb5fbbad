"""Negative log-likelihood by annealed importance sampling."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.evaluation import LogMeanExp
from genmod.plugins.metrics._annealing import Path, Start, anneal, schedule
from genmod.plugins.metrics._likelihood import Estimate, likelihood_rows

__all__ = ["Ais", "Chains", "Examples", "Leapfrogs", "Steps", "size_for"]

Chains = Annotated[int, Ge(1), Doc("chains for each example")]
Steps = Annotated[int, Ge(1), Doc("steps from the start of the path to its end")]
Leapfrogs = Annotated[int, Ge(1), Doc("leapfrog steps of each move")]
Examples = Annotated[int, Ge(1), Doc("how many examples: annealing is slow")]

_ROWS = 512
"""Latents that are moved at a time; a constant, because draws depend on it."""


@final
class Ais(Metric):
    """Negative log-likelihood, from chains that move from the prior to the posterior.

    ``log w = Σ_t (β_t - β_{t-1}) log p(x|z_{t-1})``, the chain moved at each step by Hamiltonian Monte Carlo that leaves
    ``p(z) p(x|z)^β_t`` invariant; ``-log 1/C Σ_c w_c ≥ -log p(x)`` on average, nats

    It is nearer to the truth than importance sampling where the posterior is not the true one, and takes ``steps`` times
    ``leapfrogs`` gradients for each chain: by default for the first 100 examples. The size of the moves is found by
    chains that are then left out, so that the mean of the weights is exactly ``p(x)``. With ``start=posterior`` chains
    begin at ``q(z|x)``. ``error_of_draws`` is the standard error that comes from the chains alone; metric ``bdmc``
    bounds the error of the estimate.

    Reference:
        Annealed Importance Sampling (Neal, 2001), arXiv:physics/9803008;
        On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2016), arXiv:1611.04273

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(4, 1, 8, 8)))
        >>> result = evaluate(build(encoder="mlp", latent=2), split, {"name": "ais", "steps": 3, "chains": 2})
        >>> result["nll[ais]"].n
        4
    """

    main = "steps"

    def __init__(
        self,
        *,
        steps: Steps = 1000,
        chains: Chains = 16,
        leapfrogs: Leapfrogs = 10,
        examples: Examples = 100,
        start: Annotated[Start, Doc("where chains begin: at p(z) or at q(z|x)")] = "prior",
    ) -> None:
        self.steps, self.chains, self.leapfrogs = steps, chains, leapfrogs
        self.examples, self.start = examples, start

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        betas, settings = schedule(self.steps), {"steps": self.steps, "samples": self.chains}

        def estimate(
            x: Tensor, context: Tensor | None, on_progress: Callable[[int], None]
        ) -> Mapping[str, Estimate]:
            found = anneal(
                Path(subject.model, x, context, self.start),
                betas,
                chains=self.chains,
                leapfrogs=self.leapfrogs,
                on_progress=lambda share: on_progress(int(share * len(x))),
            )
            mean = LogMeanExp(len(x), x.device)
            mean.add(found.log_weights)
            notes = {"effective_samples": mean.effective, "acceptance": found.acceptance}
            return {"ais": Estimate(mean.value, mean.variance, notes, settings)}

        yield from likelihood_rows(
            subject,
            "ais",
            estimate,
            "-log of the mean weight of annealed chains, an upper bound on -log p(x)",
            size=size_for(self.chains),
            limit=self.examples,
        )


def size_for(chains: int) -> int:
    """How many examples are annealed at a time."""
    return max(1, _ROWS // chains)
