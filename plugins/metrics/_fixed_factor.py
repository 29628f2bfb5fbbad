"""Scores of β-VAE and FactorVAE: which factor is held fixed, predicted from codes of examples that share its value."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from genmod.plugins._sklearn import quietly_fitted
from genmod.plugins.metrics._factors import Array, Coding, Score, checked, groups

__all__ = ["beta_vae_score", "factor_vae_score"]

_HELD = 2**23
"""Codes that are held at a time: 64 MiB."""


def beta_vae_score(
    codes: npt.ArrayLike,
    factors: npt.ArrayLike,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
) -> Score:
    """The score of β-VAE: accuracy of a linear classifier of the factor that pairs of examples share, see
    :class:`~genmod.plugins.metrics.beta_vae_score.BetaVaeScore`.

    Where factors go together in the data, pairs that share one share the other.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``, two or more that vary.
        batch: L, pairs whose distances are averaged.
        train: draws that the classifier is trained on.
        test: draws that it is tested on.
        seed: of the draws.

    Raises:
        DataError: other shapes.
        UndefinedError: fewer than two factors vary.

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)])
        >>> beta_vae_score(factors, factors, train=200, test=100).value
        1.0
    """
    from sklearn.linear_model import LogisticRegression

    coding, rng = checked(codes, factors, factors_needed=2), np.random.default_rng(seed)
    seen, unseen = (_distances(coding, rng, count, batch) for count in (train, test))
    model = quietly_fitted(LogisticRegression(max_iter=1000), *seen)
    accuracy = float(model.score(*unseen))
    details = {
        "batch": batch,
        "train": train,
        "test": test,
        "seed": seed,
        "error_of": "draws",
        "kept": coding.kept,
    }
    return Score(
        accuracy, _binomial(accuracy, test), {**details, "train_accuracy": float(model.score(*seen))}
    )


def factor_vae_score(
    codes: npt.ArrayLike,
    factors: npt.ArrayLike,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    inactive: float = 0.05,
    seed: int = 0,
) -> Score:
    """The score of FactorVAE: accuracy of the latent that varies least as a predictor of the factor that is held, see
    :class:`~genmod.plugins.metrics.factor_vae_score.FactorVaeScore`.

    Where factors go together in the data, examples that share one share the other.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``, two or more that vary.
        batch: L, examples that share a value.
        train: draws by which latents are assigned to factors.
        test: draws that are tested on.
        inactive: latents with a smaller standard deviation over all examples are left out; without any other the score
            is 0.
        seed: of the draws.

    Raises:
        DataError: other shapes.
        UndefinedError: fewer than two factors vary.

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)])
        >>> factor_vae_score(factors, factors, train=200, test=100).value
        1.0
    """
    coding, rng = checked(codes, factors, factors_needed=2), np.random.default_rng(seed)
    spread = coding.codes.std(0, ddof=1)
    active = (spread >= inactive) & ~coding.constant
    details = {
        "active": int(active.sum()),
        "inactive_below": inactive,
        "batch": batch,
        "train": train,
        "test": test,
        "seed": seed,
        "error_of": "draws",
        "kept": coding.kept,
    }
    if not active.any():
        return Score(0.0, details=details)
    scaled = Coding(coding.codes[:, active] / spread[active], coding.factors, coding.kept)
    seen, unseen = (_votes(scaled, rng, count, batch) for count in (train, test))
    stands_for = seen.argmax(0), np.arange(seen.shape[1])
    accuracy, before = (float(votes[stands_for].sum() / votes.sum()) for votes in (unseen, seen))
    votes_of = np.zeros((seen.shape[0], len(active)), dtype=np.int64)
    votes_of[:, active] = seen
    return Score(
        accuracy,
        _binomial(accuracy, test),
        {**details, "train_accuracy": before, "votes": votes_of.tolist()},
    )


def _fixed(
    coding: Coding, rng: np.random.Generator, count: int, batch: int
) -> Iterator[tuple[int, slice, Array]]:
    """Draws of a factor that is held: the factor, where its draws stand, and any examples, ``(m, batch)``."""
    of = np.bincount(rng.integers(coding.factors.shape[1], size=count), minlength=coding.factors.shape[1])
    step, start = max(1, _HELD // (batch * coding.codes.shape[1])), 0
    for k, left in enumerate(of):
        for begun in range(0, int(left), step):
            m = min(step, int(left) - begun)
            yield k, slice(start, start + m), rng.integers(len(coding), size=(m, batch))
            start += m


def _distances(coding: Coding, rng: np.random.Generator, count: int, batch: int) -> tuple[Array, Array]:
    """Mean distances of codes in pairs, ``(count, d)``, and which factor these share, ``(count,)``."""
    found, shared = np.empty((count, coding.codes.shape[1])), np.empty(count, dtype=np.int64)
    for k, place, rows in _fixed(coding, rng, count, batch):
        others = groups(coding.factors[:, k], rows, rng)
        found[place] = np.abs(coding.codes[rows] - coding.codes[others]).mean(1)
        shared[place] = k
    return found, shared


def _votes(coding: Coding, rng: np.random.Generator, count: int, batch: int) -> Array:
    """How often each latent varies least while a factor is held, ``(k, d)``."""
    votes = np.zeros((coding.factors.shape[1], coding.codes.shape[1]), dtype=np.int64)
    for k, _, rows in _fixed(coding, rng, count, batch):
        alike = groups(coding.factors[:, k], np.broadcast_to(rows[:, :1], rows.shape), rng)
        least = coding.codes[alike].var(1, ddof=1).argmin(1)
        votes[k] += np.bincount(least, minlength=votes.shape[1])
    return votes


def _binomial(share: float, n: int) -> float:
    return float((share * (1 - share) / n) ** 0.5)
