"""Explicitness."""

import warnings
from collections.abc import Iterator
from typing import final

import numpy as np
import numpy.typing as npt

from genmod import Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._factors import Array, Score, checked, halves
from genmod.system import seed_for

__all__ = ["Explicitness", "explicitness"]


@final
class Explicitness(Metric):
    """How well a linear classifier of all latents tells the values of factors: areas under ROC curves, ½ by chance.

    ``1/K Σ_k 1/|V_k| Σ_v AUC(p_v)``, ``p_v`` of multinomial logistic regression from posterior means

    Learned from two thirds of the split, at most 10,000 examples, and asked about the rest, at most 5,000. The standard error
    is that of the examples that are asked about.

    Reference:
        Learning Deep Disentangled Embeddings with the F-Statistic Loss (Ridgeway and Mozer, 2018), arXiv:1802.05312

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "explicitness").rows]
        ['explicitness']
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        yield data.row(
            "explicitness",
            explicitness(data.codes, data.factors, seed=seed_for(subject.seed, "evaluation/explicitness")),
            "area under the ROC curve of a linear classifier of each value of a factor, the mean over these",
        )


def explicitness(codes: npt.ArrayLike, factors: npt.ArrayLike, *, seed: int = 0) -> Score:
    """The area under the ROC curve of a linear classifier of each value of each factor, on unseen examples.

    ``1/K Σ_k 1/|V_k| Σ_{v ∈ V_k} P(p_v(z) > p_v(z'))``, z any code of an example with the value v, z' of one without

    The probabilities ``p_v`` are those of multinomial logistic regression from standardised codes. Two thirds of the examples,
    10,000 at most, are learned from, the rest is asked about, 5,000 at most. Chance is ½.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``; those that do not vary are left out.
        seed: of the parts.

    Raises:
        DataError: other shapes.
        UndefinedError: no factor that varies, or too few examples.

    Example:
        >>> factors = np.array([[i, j] for i in range(2) for j in range(2)] * 10)
        >>> explicitness(factors, factors).value
        1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    coding = checked(codes, factors)
    train, test = halves(coding, np.random.default_rng(seed))
    centre, scale = train.codes.mean(0), train.codes.std(0)
    scale[train.constant] = 1.0
    x, y = (train.codes - centre) / scale, (test.codes - centre) / scale
    each, influence = [], np.zeros(len(test))
    for k in range(train.factors.shape[1]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(max_iter=1000).fit(x, train.factors[:, k])
        told = model.predict_proba(y)
        is_value = test.factors[:, k : k + 1] == model.classes_
        # A value that is not among the examples that are asked about has no area.
        known = is_value.any(0)
        areas, moved = _areas(told[:, known], is_value[:, known])
        each.append(float(areas.mean()))
        influence += moved.mean(1)
    found = Score.smooth(
        float(np.mean(each)),
        influence / len(each),
        {"seed": seed, "train": len(train), "test": len(test), "kept": coding.kept, "areas": each},
    )
    # The influence is that of the unseen examples alone.
    return Score(found.value, found.standard_error, found.details)


def _areas(told: Array, is_value: Array) -> tuple[Array, Array]:
    """Areas under ROC curves, ``(V,)``, and how far each example moves them, ``(n, V)``."""
    share, areas = np.empty(told.shape), np.empty(told.shape[1])
    for v, of_value in enumerate(is_value.T):
        high, low = told[of_value, v], told[~of_value, v]
        share[of_value, v] = _share_below(high, low)
        share[~of_value, v] = 1 - _share_below(low, high)
        areas[v] = share[of_value, v].mean()
    weights = np.where(is_value, is_value.mean(0), 1 - is_value.mean(0))
    return areas, (share - areas) / weights


def _share_below(x: Array, y: Array) -> Array:
    """The share of y that each of x is above, equal ones counted half."""
    order = np.sort(y)
    return (np.searchsorted(order, x) + np.searchsorted(order, x, "right")) / (2 * len(y))
