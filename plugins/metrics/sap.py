"""Separated attribute predictability."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, final

import numpy as np
import numpy.typing as npt

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins._sklearn import quietly_fitted
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._factors import Array, Coding, Score, checked, halves
from genmod.system import seed_for

__all__ = ["Kind", "Sap", "sap"]

Kind = Literal["discrete", "continuous"]


@final
class Sap(Metric):
    """The separated attribute predictability: does one latent predict a factor far better than all others.

    ``1/K Σ_k (S_(1)k - S_(2)k)``

    ``S_dk`` of discrete factors is the accuracy of a linear support vector machine from latent d alone (C = 0.01, classes
    weighted alike), trained on two thirds of the split, at most 10,000 examples, and tested on the rest, at most 5,000; of
    continuous ones the squared correlation. The standard error is that of the examples, to first order.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2017),
        arXiv:1711.00848

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "sap[continuous]").rows]
        ['sap[continuous]']
    """

    main = "factors"

    def __init__(
        self, *, factors: Annotated[Kind, Doc("what all factors are taken for")] = "discrete"
    ) -> None:
        self.factors: Kind = factors

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        found = sap(
            data.codes, data.factors, kind=self.factors, seed=seed_for(subject.seed, "evaluation/sap")
        )
        yield data.row(
            f"sap[{self.factors}]",
            found,
            "how far the best latent for a factor is ahead of the second in predicting it linearly",
        )


def sap(codes: npt.ArrayLike, factors: npt.ArrayLike, *, kind: Kind = "discrete", seed: int = 0) -> Score:
    """The separated attribute predictability, see :class:`Sap`.

    One line cannot separate more than two values on an axis well, so that for factors with many values even the factor
    itself scores low. Codes are taken as they are: multiplied by a number they have another score.

    Args:
        codes: ``(n, d)``, two or more.
        factors: ``(n, k)``; those that do not vary are left out.
        kind: what all factors are taken for.
        seed: of the parts and of the machines.

    Raises:
        DataError: other shapes.
        UndefinedError: one latent, no factor that varies, or too few examples.

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)])
        >>> round(sap(factors, factors, kind="continuous").value, 6)
        1.0
    """
    coding = checked(codes, factors, codes_needed=2)
    if kind == "continuous":
        each, scores = _squared_correlations(coding)
        details: dict[str, Any] = {"factors_are": kind, "kept": coding.kept}
    else:
        train, test = halves(coding, np.random.default_rng(seed))
        each = _recognised(train, test, seed % 2**32)
        scores = each.mean(0)
        details = {"factors_are": kind, "seed": seed, "train": len(train), "test": len(test)}
        details["kept"] = coding.kept
    order = np.argsort(-scores, 0, kind="stable")
    places = np.arange(scores.shape[1])
    gaps = scores[order[0], places] - scores[order[1], places]
    influence = (each[:, order[0], places] - each[:, order[1], places] - gaps).mean(1)
    details |= {"gaps": gaps.tolist(), "best": order[0].tolist(), "scores": scores.tolist()}
    return Score.smooth(gaps.mean(), influence, details, of_all=kind == "continuous")


def _squared_correlations(coding: Coding) -> tuple[Array, Array]:
    """What each example adds to squared correlations, to first order, ``(n, d, k)``, and these, ``(d, k)``."""
    z = coding.codes - coding.codes.mean(0)
    v = coding.factors - coding.factors.mean(0)
    spread = np.sqrt(np.square(z).mean(0))
    # Codes that differ by rounding alone are constant.
    alive = spread > 1e-6
    z = np.where(alive, z / np.where(alive, spread, 1.0), 0.0)
    v = v / np.sqrt(np.square(v).mean(0))
    r = z.T @ v / len(z)
    each = z[:, :, None] * v[:, None, :] - r * (np.square(z)[:, :, None] + np.square(v)[:, None, :]) / 2
    return np.square(r) + 2 * r * each, np.square(r)


def _recognised(train: Coding, test: Coding, seed: int) -> Array:
    """Whether each latent alone predicts the value of each factor of unseen examples, ``(n_test, d, k)`` float64."""
    from sklearn.svm import LinearSVC

    right = np.empty((len(test), train.codes.shape[1], train.factors.shape[1]))
    for i in range(right.shape[1]):
        for k in range(right.shape[2]):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=seed)
            quietly_fitted(machine, train.codes[:, i : i + 1], train.factors[:, k])
            right[:, i, k] = machine.predict(test.codes[:, i : i + 1]) == test.factors[:, k]
    return right
