"""Explicitness."""

from collections.abc import Iterator
from typing import final

import numpy as np
import numpy.typing as npt
import torch

from genmod import Metric, Row, Subject, Undefined
from genmod.plugins._sklearn import quietly_fitted
from genmod.plugins.metrics._auroc import share_below
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._factors import Array, Score, checked, halves, standardised
from genmod.system import seed_for

__all__ = ["Explicitness", "explicitness"]


@final
class Explicitness(Metric):
    """How well a linear classifier of all latents predicts the values of factors: areas under ROC curves, ½ by chance.

    ``1/K Σ_k 1/|V_k| Σ_v AUC(p_v)``, ``AUC(p_v) = P(p_v(z) > p_v(z'))``, z any code of an example with the value v, z' of
    one without; ``p_v`` of multinomial logistic regression from standardised posterior means

    Trained on two thirds of the split, at most 10,000 examples, and tested on the rest, at most 5,000. The standard error
    is that of the tested examples.

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
    """The area under the ROC curve of a linear classifier of each value of each factor, see :class:`Explicitness`.

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
    from sklearn.linear_model import LogisticRegression

    coding = checked(codes, factors)
    train, test = halves(coding, np.random.default_rng(seed))
    x, y = standardised(train, test)
    each, influence = [], np.zeros(len(test))
    for k in range(train.factors.shape[1]):
        model = quietly_fitted(LogisticRegression(max_iter=1000), x, train.factors[:, k])
        predicted = model.predict_proba(y)
        is_value = test.factors[:, k : k + 1] == model.classes_
        # A value that no tested example has has no area.
        known = is_value.any(0)
        areas, moved = _areas(predicted[:, known], is_value[:, known])
        each.append(float(areas.mean()))
        influence += moved.mean(1)
    details = {"seed": seed, "train": len(train), "test": len(test), "kept": coding.kept, "areas": each}
    return Score.smooth(float(np.mean(each)), influence / len(each), details, of_all=False)


def _areas(predicted: Array, is_value: Array) -> tuple[Array, Array]:
    """Areas under ROC curves, ``(V,)``, and how far each example moves them, ``(n, V)``."""
    share, areas = np.empty(predicted.shape), np.empty(predicted.shape[1])
    for v, of_value in enumerate(is_value.T):
        high, low = (torch.from_numpy(predicted[which, v]) for which in (of_value, ~of_value))
        share[of_value, v] = share_below(high, low)
        share[~of_value, v] = 1 - share_below(low, high)
        areas[v] = share[of_value, v].mean()
    weights = np.where(is_value, is_value.mean(0), 1 - is_value.mean(0))
    return areas, (share - areas) / weights
