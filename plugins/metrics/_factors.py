"""Codes of examples and their ground-truth factors: what measures of disentanglement share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genmod import DataError, UndefinedError

__all__ = ["Array", "Coding", "Score", "checked", "groups", "halves", "standardised"]

Array = npt.NDArray[Any]

_MOST_TRAIN, _MOST_TEST = 10_000, 5_000


@dataclass(frozen=True)
class Score:
    """A number about codes and factors.

    Args:
        value: the number.
        standard_error: of it; NaN where it is not known.
        details: the matrix it is computed from, the value for each factor.
        influence: how far each example moves it, to first order: their mean is 0, and their spread gives the standard
            error, ``(n,)``; None where it is not known.
    """

    value: float
    standard_error: float = float("nan")
    details: Mapping[str, Any] = field(default_factory=dict)
    influence: Array | None = field(default=None, repr=False, compare=False)

    @classmethod
    def smooth(
        cls, value: float, influence: Array, details: Mapping[str, Any], *, of_all: bool = True
    ) -> "Score":
        """A number that is smooth in the distribution of examples, with the error that its influence gives.

        The influence is kept where it is ``of_all`` examples, not of those alone that were tested on.
        """
        error = float(influence.std(ddof=1) / len(influence) ** 0.5)
        return cls(float(value), error, details, influence if of_all else None)


@dataclass(frozen=True)
class Coding:
    """Codes and factors that were checked.

    Args:
        codes: ``(n, d)`` float64.
        factors: those that vary, each numbered from 0 without gaps, ``(n, k)`` int64.
        kept: which of the given factors these are, in order.
    """

    codes: Array
    factors: Array
    kept: list[int]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def sizes(self) -> Array:
        """How many values each factor takes, ``(k,)``."""
        return self.factors.max(0) + 1

    @property
    def constant(self) -> Array:
        """Which codes are the same for all examples, ``(d,)`` bool."""
        return np.asarray((self.codes == self.codes[:1]).all(0))


def checked(
    codes: npt.ArrayLike, factors: npt.ArrayLike, *, codes_needed: int = 1, factors_needed: int = 1
) -> Coding:
    """Codes and factors in the form that all measures take; factors that do not vary are left out.

    Args:
        codes: ``(n, d)``, such as posterior means.
        factors: values of the ground-truth factors, ``(n, k)``, any numbers.
        codes_needed: fewer codes make the measure undefined.
        factors_needed: fewer factors that vary do.

    Raises:
        DataError: other shapes.
        UndefinedError: numbers that are not finite, or too few of something.

    Example:
        >>> coding = checked([[0.5], [1.5], [2.5]], [[7, 0], [7, 4], [7, 0]])
        >>> coding.factors.tolist(), coding.kept
        ([[0], [1], [0]], [1])
    """
    z, v = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    if z.ndim != 2 or v.ndim != 2 or len(z) != len(v):
        raise DataError(
            f"codes have the shape {z.shape} and factors {v.shape}",
            hint="give codes (n, d) and factors (n, k) of the same n examples",
        )
    if not (np.isfinite(z).all() and np.isfinite(v).all()):
        raise UndefinedError("some codes or factors are not finite")
    numbered = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in v.T]
    kept = [j for j, column in enumerate(numbered) if len(column) and column.max() > 0]
    if len(kept) < factors_needed:
        raise UndefinedError(
            f"it needs {factors_needed} or more factors that vary, and of {len(z)} examples {len(kept)} do"
        )
    if z.shape[1] < codes_needed:
        raise UndefinedError(f"it needs {codes_needed} or more latents, and there are {z.shape[1]}")
    return Coding(z, np.stack([numbered[j] for j in kept], 1).astype(np.int64), kept)


def halves(coding: Coding, rng: np.random.Generator) -> tuple[Coding, Coding]:
    """Two thirds of the examples for training and one third for testing; at most 10,000 and 5,000.

    Raises:
        UndefinedError: too few examples: a factor has one value in a part.
    """
    order, n_test = rng.permutation(len(coding)), len(coding) // 3
    rows = np.sort(order[n_test:][:_MOST_TRAIN]), np.sort(order[:n_test][:_MOST_TEST])
    for part in rows:
        if len(part) < 2 or (coding.factors[part] == coding.factors[part[:1]]).all(0).any():
            raise UndefinedError(f"{len(coding)} examples are too few to train on some and test on others")
    train, test = (Coding(coding.codes[part], coding.factors[part], coding.kept) for part in rows)
    return train, test


def standardised(train: Coding, test: Coding) -> tuple[Array, Array]:
    """The codes of both, moved and scaled to mean 0 and deviation 1 in the training part."""
    centre, scale = train.codes.mean(0), train.codes.std(0)
    scale[train.constant] = 1.0
    return (train.codes - centre) / scale, (test.codes - centre) / scale


def groups(values: Array, like: Array, rng: np.random.Generator) -> Array:
    """For each of some examples another one, at random, that has the same value: ``(...)`` → ``(...)``.

    Args:
        values: of one factor, ``(n,)``, numbered from 0 without gaps.
        like: numbers of examples.
        rng: what to draw from.

    Example:
        >>> values = np.array([0, 1, 0, 1, 1])
        >>> values[groups(values, np.array([[0, 1], [4, 2]]), np.random.default_rng(0))].tolist()
        [[0, 1], [1, 0]]
    """
    order, counts = np.argsort(values, kind="stable"), np.bincount(values)
    first, wanted = np.cumsum(counts) - counts, values[like]
    return np.asarray(order[first[wanted] + rng.integers(counts[wanted])])
