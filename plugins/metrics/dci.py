"""Disentanglement, completeness and informativeness."""

from collections.abc import Iterator
from typing import Annotated, final

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._dci import Predictor, dci
from genmod.plugins.metrics._factored import factored
from genmod.system import seed_for

__all__ = ["Dci"]


@final
class Dci(Metric):
    """Disentanglement, completeness and informativeness, by how much each latent matters to a predictor of each factor.

    ``D = Σ_d ρ_d (1 - H_K(R_d / Σ_k R_dk))``, ``C = Σ_k ρ_k (1 - H_D(R_k / Σ_d R_dk))``, R the importances

    The names of the numbers contain the predictor. For sprites with ten latents a forest takes twenty seconds of one core;
    ``gbt``, the boosted trees of published numbers, takes two minutes, and longer with more latents and values, so it is
    not the default. Trained on two thirds of the split, at most 10,000 examples, and tested on the rest, at most 5,000.
    Disentanglement and completeness have no standard error.

    Reference:
        A Framework for the Quantitative Evaluation of Disentangled Representations (Eastwood and Williams, 2018),
        openreview By-7dz-AZ

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "dci[lasso]").rows]
        ['dci_disentanglement[lasso]', 'dci_completeness[lasso]', 'dci_informativeness[lasso]']
    """

    main = "model"

    def __init__(
        self,
        *,
        model: Annotated[
            Predictor,
            Doc("random forest, boosted trees, or linear regression of factors that are quantities"),
        ] = "forest",
    ) -> None:
        self.model: Predictor = model

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        seed = seed_for(subject.seed, "evaluation/dci")
        found = dci(data.codes, data.factors, model=self.model, seed=seed)
        yield data.row(
            f"dci_disentanglement[{self.model}]",
            found.disentanglement,
            "is each latent important for one factor alone: 1 - entropy of its importances",
        )
        yield data.row(
            f"dci_completeness[{self.model}]",
            found.completeness,
            "is one latent alone important for each factor: 1 - entropy of its importances",
        )
        what = "share of the variance of factors" if self.model == "lasso" else "share of values of factors"
        yield data.row(
            f"dci_informativeness[{self.model}]",
            found.informativeness,
            f"{what} that is predicted, of unseen examples",
        )
