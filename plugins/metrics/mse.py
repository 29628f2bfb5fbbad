"""Squared error of reconstructions."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, mean_row

__all__ = ["Mse"]


@final
class Mse(Metric):
    """The squared error of reconstructions for each value of an example, in squared units of the data.

    ``1/D |x - x'|²``, ``x'`` the mean of ``p(x|z)`` at the code

    Of values that were observed, where some are missing. The code is the mean of ``q(z|x)``, or a draw where it has no
    known mean; ``x`` is the observation that is encoded, binary where the decoder makes it so.

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> evaluate(build(encoder="mlp"), TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "mse").rows[0].name
        'mse'
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        def error_of(x: Tensor, y: Tensor) -> Tensor:
            seen = ~x.isnan()
            squares = torch.where(seen, x - y, 0.0).double().square().flatten(1).sum(1)
            return (squares / seen.flatten(1).sum(1).clamp(min=1)).cpu()

        errors = subject.over_reconstructions(error_of)
        definition = "squared error of reconstructions, mean over the values of an example"
        yield mean_row("mse", torch.cat(errors), "", definition, "lower")
