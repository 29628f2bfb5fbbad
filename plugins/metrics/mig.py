"""The mutual information gap."""

from collections.abc import Iterator
from typing import Annotated, final

import numpy as np
from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._mig import mig
from genmod.system import seed_for

__all__ = ["Mig"]


@final
class Mig(Metric):
    """The mutual information gap: does one latent hold far more information about a factor than any other.

    ``1/K Σ_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k)`` of posterior means and ground-truth factors

    The name of the number contains the number of bins. Factors with more values than there are bins cannot reach 1;
    nearest neighbours have no such limit. Factors that do not vary are left out. The standard error is that of the
    examples, to first order; nearest neighbours give none.

    Reference:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), arXiv:1802.04942

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "mig[10]").rows]
        ['mig[10]']
    """

    main = "bins"

    def __init__(
        self,
        *,
        bins: Annotated[int, Ge(2), Doc("equally wide ones of each latent")] = 20,
        neighbours: Annotated[
            int,
            Ge(0),
            Doc("estimate information from as many nearest neighbours rather than in bins; 0 for bins"),
        ] = 0,
    ) -> None:
        self.bins = bins
        self.neighbours = neighbours

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        found = mig(
            data.codes,
            data.factors,
            bins=self.bins,
            neighbours=self.neighbours,
            seed=seed_for(subject.seed, "evaluation/mig"),
        )
        many = [
            name
            for name, column in zip(data.names, data.factors.T, strict=True)
            if len(np.unique(column)) > self.bins and not self.neighbours
        ]
        if many:
            subject.warn(
                f"mig[{self.bins}] cannot reach 1: there are more values than bins of {', '.join(many)}"
            )
        how = f"knn-{self.neighbours}" if self.neighbours else str(self.bins)
        yield data.row(
            f"mig[{how}]",
            found,
            "how far the best latent for a factor is ahead of the second, in mutual information over entropy",
        )
