"""The kernel distance between generated examples and the data."""

from collections.abc import Iterator
from typing import final

from genmod import Row, Subject, Undefined
from genmod.plugins.metrics._generated import OfGenerated, distance_rows
from genmod.plugins.metrics._kernel import mmd

__all__ = ["Kid"]


@final
class Kid(OfGenerated):
    """The squared maximum mean discrepancy of features by a cubic kernel; KID where the features are Inception's.

    ``mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)``, ``k(x, y) = (x·y / D + 1)³``

    Without bias, however few examples there are: between sets of one distribution it is 0 on average, and may be
    negative. It is taken from all pairs, not from subsets as it was published. ``kid_floor`` is the score of training
    examples in place of the generated ones.

    Raises:
        UsageError: there are no such features.

    Reference:
        Demystifying MMD GANs (Bińkowski et al., 2018), arXiv:1801.01401

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(20, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "kid[pixel]").rows]
        ['kid[pixel]']
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject)
        definition = "squared MMD of features of generated examples and of the data, kernel (x·y / D + 1)³"
        yield from distance_rows("kid", sets, mmd, definition)
