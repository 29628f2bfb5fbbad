"""Mutual information of examples and their codes."""

import math
from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined, mean_row
from genmod.plugins.metrics._aggregate import ExampleCount, aggregate

__all__ = ["MutualInformation"]


@final
class MutualInformation(Metric):
    """The information, in nats, that a code holds about its example.

    ``I(x; z) = E_x E_q(z|x)[log q(z|x) - log q(z)]``, ``q(z) = 1/N Σ_j q(z|x_j)``

    The mixture is that of all N examples, without approximation, so that this is the information about which of these N
    examples it is, at most log N. On average it is a lower bound on the information about an example of the whole
    population; ``upper``, without the example's own posterior in the mixture, is an upper bound. Where the
    two are far apart, more examples are needed.

    Reference:
        ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman and Johnson, 2016), NIPS
        workshop; On Variational Bounds of Mutual Information (Poole et al., 2019), arXiv:1905.06922, for the bounds

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> abs(round(evaluate(build(encoder="mlp"), split, "mutual-information")["mutual_information"].value, 6))
        0.0
    """

    main = "examples"

    def __init__(self, *, examples: ExampleCount = None) -> None:
        self.examples = examples

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        found = aggregate(subject, "mutual information", self.examples)
        n = len(found.own)
        upper = (found.own - found.others).mean().item()
        row = mean_row(
            "mutual_information",
            found.own - found.all,
            "nats",
            f"E[log q(z|x) - log q(z)], q(z) the mean of the posteriors of {n} examples; at most log {n}",
            details={"upper": upper, "cap": math.log(n)},
        )
        if upper - row.value > max(0.25, 4 * row.standard_error):
            subject.warn(
                f"{n:,} examples are too few to measure mutual_information, which cannot exceed log {n:,} ="
                f" {math.log(n):.2f} nats with them: it is {row.value:.2f} or more"
            )
        yield row
