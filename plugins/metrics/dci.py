"""Disentanglement, completeness and informativeness."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

import numpy as np
import numpy.typing as npt

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins._sklearn import quietly_fitted
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._factors import Array, Coding, Score, checked, halves, standardised
from genmod.system import seed_for

__all__ = ["Dci", "Found", "Predictor", "completeness_of", "dci", "disentanglement_of"]

Predictor = Literal["forest", "gbt", "lasso"]

_TREES, _LEAF = 100, 5


@dataclass(frozen=True)
class Found:
    """Three numbers of one matrix of importances.

    Args:
        disentanglement: is each latent about one factor.
        completeness: is each factor in one latent.
        informativeness: how well factors of unseen examples are predicted.
        importances: ``(d, k)``.
    """

    disentanglement: Score
    completeness: Score
    informativeness: Score
    importances: Array


def disentanglement_of(importances: npt.ArrayLike) -> float:
    """``Σ_d ρ_d (1 - H_K(P_d))`` with ``P_d = R_d / Σ_k R_dk`` and ``ρ_d = Σ_k R_dk / Σ R``, entropy to the base K.

    Args:
        importances: R, of latents for factors, ``(d, K)``, not negative, K at least 2.

    Example:
        >>> disentanglement_of([[5, 0], [0, 5], [0, 0]]), disentanglement_of([[1, 1]])
        (1.0, 0.0)
    """
    table = np.asarray(importances, dtype=np.float64)
    total = table.sum()
    if total == 0:
        return 0.0
    weights = table.sum(1)
    shares = table / np.where(weights > 0, weights, 1.0)[:, None]
    entropies = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(1) / np.log(table.shape[1])
    return float(((1 - entropies) * weights).sum() / total)


def completeness_of(importances: npt.ArrayLike) -> float:
    """The same of columns: ``Σ_k ρ_k (1 - H_D(Q_k))`` with ``Q_k = R_k / Σ_d R_dk``, entropy to the base D.

    Example:
        >>> round(completeness_of(np.vstack([np.eye(5), np.eye(5)])), 6)  # 1 - ln 2 / ln 10
        0.69897
    """
    return disentanglement_of(np.asarray(importances, dtype=np.float64).T)


def dci(codes: npt.ArrayLike, factors: npt.ArrayLike, *, model: Predictor = "forest", seed: int = 0) -> Found:
    """How much each code matters to a predictor of each factor, trained and tested on parts of :func:`halves`.

    - ``forest``: 100 trees, each of its own resample of the examples, whose leaves have 5 or more; seconds;
    - ``gbt``: gradient boosted trees with the settings of scikit-learn, those of published numbers; one tree for each value
      of a factor in each of 100 rounds, minutes for factors with dozens of values;
    - ``lasso``: linear regression of the numbers of the values, for factors that are quantities; the penalty by
      cross-validation, the size of weights of standardised codes is their importance.

    Numbers of different predictors are not comparable. The informativeness of trees is the share of examples whose value
    is predicted, of lasso the share of the variance.

    Args:
        codes: ``(n, d)``, two or more.
        factors: ``(n, k)``, two or more that vary.
        model: the predictor.
        seed: of the parts and of the trees.

    Raises:
        DataError: other shapes.
        UndefinedError: one latent, fewer than two factors that vary, or too few examples.

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)] * 10)
        >>> found = dci(factors, factors)
        >>> round(found.disentanglement.value, 3), round(found.completeness.value, 3)
        (1.0, 1.0)
    """
    coding = checked(codes, factors, codes_needed=2, factors_needed=2)
    train, test = halves(coding, np.random.default_rng(seed))
    importances = np.empty((coding.codes.shape[1], coding.factors.shape[1]))
    right = np.empty((len(test), coding.factors.shape[1]))
    for k in range(right.shape[1]):
        fit = _lasso if model == "lasso" else _trees
        importances[:, k], right[:, k] = fit(train, test, k, model, seed % 2**32)
    details = {"model": model, "seed": seed, "train": len(train), "test": len(test), "kept": coding.kept}
    each = right.mean(0)
    # Of trees the numbers of an example are 0 or 1, of lasso its share of the explained variance.
    error = float(right.mean(1).std(ddof=1) / len(test) ** 0.5)
    return Found(
        Score(disentanglement_of(importances), details={**details, "importances": importances.tolist()}),
        Score(completeness_of(importances), details=details),
        Score(float(each.mean()), error, {**details, "informativeness": each.tolist()}),
        importances,
    )


def _trees(train: Coding, test: Coding, k: int, model: Predictor, seed: int) -> tuple[Array, Array]:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    made: Any = (
        GradientBoostingClassifier(random_state=seed)
        if model == "gbt"
        # Every split sees all codes: a choice among a few would make codes matter that hold nothing.
        else RandomForestClassifier(_TREES, max_features=None, min_samples_leaf=_LEAF, random_state=seed)
    )
    made.fit(train.codes, train.factors[:, k])
    return made.feature_importances_, made.predict(test.codes) == test.factors[:, k]


def _lasso(train: Coding, test: Coding, k: int, model: Predictor, seed: int) -> tuple[Array, Array]:
    from sklearn.linear_model import LassoCV

    x, unseen = standardised(train, test)
    y, wanted = train.factors[:, k].astype(np.float64), test.factors[:, k].astype(np.float64)
    # A penalty with which it does not converge is one of a hundred that are tried.
    made = quietly_fitted(LassoCV(cv=5, random_state=seed), x, y)
    errors = np.square(made.predict(unseen) - wanted)
    return np.abs(made.coef_), 1 - errors / wanted.var()


@final
class Dci(Metric):
    """Disentanglement, completeness and informativeness, by how much each latent matters to a predictor of each factor.

    ``D = Σ_d ρ_d (1 - H_K(R_d / Σ_k R_dk))``, ``C = Σ_k ρ_k (1 - H_D(R_k / Σ_d R_dk))``, R the importances

    The names of the numbers contain the predictor. For sprites with ten latents a forest takes twenty seconds of one core;
    ``gbt``, the boosted trees of published numbers, takes two minutes, and longer with more latents and values, so it is
    not the default. Trained on two thirds of the split, at most 10,000 examples, and tested on the rest, at most 5,000.
    Disentanglement and completeness have no standard error.

    Reference:
        A Framework for the Quantitative Evaluation of Disentangled Representations (Eastwood and Williams, 2018),
        openreview By-7dz-AZ

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "dci[lasso]").rows]
        ['dci_disentanglement[lasso]', 'dci_completeness[lasso]', 'dci_informativeness[lasso]']
    """

    main = "model"

    def __init__(
        self,
        *,
        model: Annotated[
            Predictor,
            Doc("random forest, boosted trees, or linear regression of factors that are quantities"),
        ] = "forest",
    ) -> None:
        self.model: Predictor = model

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        seed = seed_for(subject.seed, "evaluation/dci")
        found = dci(data.codes, data.factors, model=self.model, seed=seed)
        yield data.row(
            f"dci_disentanglement[{self.model}]",
            found.disentanglement,
            "is each latent important for one factor alone: 1 - entropy of its importances",
        )
        yield data.row(
            f"dci_completeness[{self.model}]",
            found.completeness,
            "is one latent alone important for each factor: 1 - entropy of its importances",
        )
        what = "share of the variance of factors" if self.model == "lasso" else "share of values of factors"
        yield data.row(
            f"dci_informativeness[{self.model}]",
            found.informativeness,
            f"{what} that is predicted, of unseen examples",
        )
