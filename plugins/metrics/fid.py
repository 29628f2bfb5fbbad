"""The Fréchet distance between generated examples and the data."""

from collections.abc import Iterator
from typing import final

from genmod import Row, Subject, Undefined
from genmod.plugins.metrics._frechet import frechet_distance
from genmod.plugins.metrics._generated import OfGenerated, distance_rows

__all__ = ["Fid"]

_DEFINITION = "|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½) of features of generated examples and of the data"


@final
class Fid(OfGenerated):
    """The Fréchet distance between features of generated examples and of the data; FID where these are Inception's.

    ``|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½)``

    The name of the score has the features in it: scores by different ones, or of different numbers of examples, cannot
    be compared. ``fid_floor`` is the score of training examples in place of the generated ones: the distance that
    remains between equal distributions. The standard error is that of the delta method, from means and covariances.

    Raises:
        UsageError: there are no such features.

    Reference:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        arXiv:1706.08500

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(300, 1, 8, 8)))
        >>> result = evaluate(build(encoder="mlp"), split, "fid")
        >>> [row.name for row in result.rows], result.undefined
        (['fid[digits-cnn-v1]'], {'fid_floor[digits-cnn-v1]': 'it needs training data, and none were given'})
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject)
        few = min(len(sets.real), len(sets.made))
        if few < 5 * sets.real.shape[1]:
            subject.warn(
                f"fid[{sets.label}]: covariances of {sets.real.shape[1]} features from {few} examples are poor, and the "
                "distance is too large; kid has no such bias"
            )
        yield from distance_rows("fid", sets, frechet_distance, _DEFINITION)
