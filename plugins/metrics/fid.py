"""The Fréchet distance between generated examples and the data."""

from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined
from genmod.evaluation import FeaturesName, FromSource, SampleCount, WithNoise, checked_features, compared
from genmod.plugins.metrics._frechet import frechet_distance

__all__ = ["Fid"]

_DEFINITION = "|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½) of features of generated examples and of the data"


@final
class Fid(Metric):
    """The Fréchet distance between features of generated examples and of the data; FID where these are Inception's.

    ``|μ - μ'|² + tr(Σ + Σ' - 2 (Σ Σ')^½)``

    The name of the score has the features in it: scores by different ones, or of different numbers of examples, cannot
    be compared. ``fid_floor`` is the score of training examples in the place of the generated ones: what is left of
    the distance where there is none. The standard error is that of the delta method, from means and covariances.

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

    main = "features"

    def __init__(
        self,
        *,
        features: FeaturesName = None,
        samples: SampleCount = None,
        source: FromSource = None,
        noise: WithNoise = False,
    ) -> None:
        self.features = checked_features(features)
        self.samples = samples
        self.source = source
        self.noise = noise

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = compared(subject, self.features, samples=self.samples, source=self.source, noise=self.noise)
        few = min(len(sets.real), len(sets.made))
        if few < 5 * sets.real.shape[1]:
            subject.warn(
                f"fid[{sets.label}]: covariances of {sets.real.shape[1]} features from {few} examples are poor, and the "
                "distance is too large; kid has no such bias"
            )
        details = sets.details
        floor = None if sets.floor is None else frechet_distance(sets.real, sets.floor)
        if floor is not None:
            details = {"floor": floor.value, **details}
        found = frechet_distance(sets.real, sets.made)
        yield Row(
            f"fid[{sets.label}]",
            found.value,
            found.standard_error,
            len(sets.real),
            "",
            _DEFINITION,
            "lower",
            details,
        )
        name = f"fid_floor[{sets.label}]"
        if floor is None or sets.floor is None:
            yield Undefined(name, sets.no_floor)
        else:
            definition = "the same of training examples in the place of generated ones"
            more = {"training": len(sets.floor), **sets.details}
            yield Row(name, floor.value, floor.standard_error, len(sets.real), "", definition, "", more)
