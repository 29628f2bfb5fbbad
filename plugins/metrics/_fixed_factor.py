"""Scores of β-VAE and FactorVAE: which factor is held fixed, told from the codes of examples that share its value."""

import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

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
    """How often a linear classifier tells which factor pairs of examples share, by how far their codes are apart.

    ``x = 1/L Σ_l |z_l - z'_l|``, where the factors k of ``z_l`` and ``z'_l`` are the same for all l: accuracy of
    multinomial logistic regression from x to k on new draws

    The pairs are rows of the data: the first is any, the second is any that has the same value of the factor. Where
    all combinations of the factors are there equally often, or their random share, this is to draw the other factors
    anew; where factors go together, sharing one is sharing another.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``, two or more that vary.
        batch: L, pairs whose distances are averaged.
        train: draws that the classifier learns from.
        test: draws that it is asked about.
        seed: of what is drawn.

    Raises:
        DataError: other shapes.
        UndefinedError: fewer than two factors vary.

    Reference:
        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al., 2017),
        openreview Sy2fzU9gl

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)])
        >>> beta_vae_score(factors, factors, train=200, test=100).value
        1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    coding, rng = checked(codes, factors, factors_needed=2), np.random.default_rng(seed)
    learned, asked = (_distances(coding, rng, count, batch) for count in (train, test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=1000).fit(*learned)
    accuracy = float(model.score(*asked))
    details = {"batch": batch, "train": train, "test": test, "seed": seed, "kept": coding.kept}
    return Score(
        accuracy, _binomial(accuracy, test), {**details, "train_accuracy": float(model.score(*learned))}
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
    """How often the latent that varies least among examples that share a factor tells which factor that is.

    ``d* = argmin_d Var_l(z_ld) / Var(z_d)`` over L examples that have the same value of factor k; each latent stands for
    the factor for which it was chosen most often, and the score is the share of new draws in which that is right.

    The examples that share a value are rows of the data, with replacement. Where all combinations of the factors are
    there equally often, or their random share, this is to draw the other factors anew; where factors go together,
    sharing one is sharing another.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``, two or more that vary.
        batch: L, examples that share a value.
        train: draws by which latents are given to factors.
        test: draws that are asked about.
        inactive: latents whose standard deviation over all examples is less are left out; without any other the score is
            0.
        seed: of what is drawn.

    Raises:
        DataError: other shapes.
        UndefinedError: fewer than two factors vary.

    Reference:
        Disentangling by Factorising (Kim and Mnih, 2018), arXiv:1802.05983

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
        "kept": coding.kept,
    }
    if not active.any():
        return Score(0.0, details=details)
    scaled = Coding(coding.codes[:, active] / spread[active], coding.factors, coding.kept)
    learned, asked = (_votes(scaled, rng, count, batch) for count in (train, test))
    stands_for = learned.argmax(0), np.arange(learned.shape[1])
    accuracy, before = (float(votes[stands_for].sum() / votes.sum()) for votes in (asked, learned))
    votes_of = np.zeros((learned.shape[0], len(active)), dtype=np.int64)
    votes_of[:, active] = learned
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
