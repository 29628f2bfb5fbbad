"""The score of FactorVAE."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._fixed_factor import factor_vae_score
from genmod.system import seed_for

__all__ = ["FactorVaeScore"]


@final
class FactorVaeScore(Metric):
    """How often the latent that varies least among examples that share a factor identifies that factor.

    ``d* = argmin_d Var_l(z_ld) / Var(z_d)``; a latent stands for the factor for which it is chosen most often

    Trained on 10,000 draws and tested on 5,000. Examples that share a value are rows of the split, rather than made for
    it: the same where all combinations of the factors are in the data equally often, or a random share of these, as in
    sprites. Latents whose standard deviation over the split is below 0.05 are left out, and the score of a model without
    others is 0. The standard error is that of the draws.

    Reference:
        Disentangling by Factorising (Kim and Mnih, 2018), arXiv:1802.05983

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "factor-vae-score").rows]
        ['factor_vae_score']
    """

    main = "batch"

    def __init__(self, *, batch: Annotated[int, Ge(2), Doc("examples that share a value")] = 64) -> None:
        self.batch = batch

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        seed = seed_for(subject.seed, "evaluation/factor_vae_score")
        found = factor_vae_score(data.codes, data.factors, batch=self.batch, seed=seed)
        definition = "how often the latent that varies least identifies the factor that is shared"
        yield data.row("factor_vae_score", found, definition)
