"""The score of β-VAE."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._fixed_factor import beta_vae_score
from genmod.system import seed_for

__all__ = ["BetaVaeScore"]


@final
class BetaVaeScore(Metric):
    """How often a linear classifier finds the factor that pairs of examples share, by how far their codes are apart.

    ``x = 1/L Σ_l |z_l - z'_l|``, the accuracy of multinomial logistic regression from x to the factor that is shared

    Trained on 10,000 draws and tested on 5,000. The pairs are rows of the split that have the same value of the factor,
    rather than examples made for it: the same where all combinations of the factors are in the data equally often, or a
    random share of these, as in sprites. The standard error is that of the draws.

    Reference:
        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al., 2017),
        openreview Sy2fzU9gl

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "beta-vae-score").rows]
        ['beta_vae_score']
    """

    main = "batch"

    def __init__(
        self, *, batch: Annotated[int, Ge(2), Doc("pairs whose distances are averaged")] = 64
    ) -> None:
        self.batch = batch

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        seed = seed_for(subject.seed, "evaluation/beta_vae_score")
        found = beta_vae_score(data.codes, data.factors, batch=self.batch, seed=seed)
        definition = "how often a linear classifier finds the factor that is shared, by distances of codes"
        yield data.row("beta_vae_score", found, definition)
