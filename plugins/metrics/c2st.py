"""A classifier that tries to tell generated examples from the data."""

from collections.abc import Iterator
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge

from genmod import Doc, Row, Subject, Undefined, UndefinedError
from genmod.evaluation import FeaturesName, FromSource, SampleCount, WithNoise
from genmod.plugins.metrics._generated import OfGenerated
from genmod.plugins.metrics._two_sample import classifier_test
from genmod.system import seed_for

__all__ = ["C2st"]


@final
class C2st(OfGenerated):
    """The classifier two-sample test: how often a classifier recognises generated examples that it has not seen.

    It learns from one half of both sets and is asked about the other: one half right is chance, all right is a model
    whose examples are recognised without fail. ``c2st_p`` is the chance of its ranking of the other half if there were
    no difference, by permutations; uniform between 0 and 1 then. ``area`` in the details is that under the ROC curve.

    Raises:
        UsageError: there are no such features.

    Reference:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), arXiv:1610.06545

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(50, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "c2st[pixel]").rows]
        ['c2st[pixel]', 'c2st_p[pixel]']
    """

    def __init__(
        self,
        *,
        features: FeaturesName = None,
        classifier: Annotated[
            Literal["logistic", "knn"], Doc("linear in the features, or by the nearest neighbours")
        ] = "logistic",
        permutations: Annotated[int, Ge(19), Doc("how many; p is 1 / (permutations + 1) or more")] = 999,
        samples: SampleCount = None,
        source: FromSource = None,
        noise: WithNoise = False,
    ) -> None:
        super().__init__(features=features, samples=samples, source=source, noise=noise)
        self.classifier = classifier
        self.permutations = permutations

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject)
        if min(len(sets.real), len(sets.made)) < 4:
            raise UndefinedError(
                "a classifier learns from two examples of each set at least, and is asked about two"
            )

        def test(made: torch.Tensor) -> tuple[float, float, float, int]:
            verdict, accuracy, n = classifier_test(
                sets.real,
                made,
                classifier=self.classifier,  # type: ignore[arg-type]
                permutations=self.permutations,
                generator=torch.Generator().manual_seed(seed_for(subject.seed, "evaluation/c2st")),
            )
            return verdict.statistic, verdict.p, accuracy, n

        area, p, accuracy, n = test(sets.made)
        details = {"area": area, "classifier": self.classifier, **sets.details}
        if sets.floor is not None and len(sets.floor) >= 4:
            details = {"floor": test(sets.floor)[2], **details}
        yield Row(
            f"c2st[{sets.label}]",
            accuracy,
            (accuracy * (1 - accuracy) / n) ** 0.5,
            n,
            "",
            "share of unseen examples that a classifier says rightly to be generated or not; 0.5 by chance",
            "lower",
            details,
        )
        yield Row(
            f"c2st_p[{sets.label}]",
            p,
            (p * (1 - p) / self.permutations) ** 0.5,
            n,
            "",
            "chance of such a ranking if generated examples were distributed as the data, by permutations",
            "",
            {"permutations": self.permutations, "classifier": self.classifier, **sets.details},
        )
