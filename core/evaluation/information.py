"""Mutual information of codes and factors, by counting."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["binned", "entropy", "mutual_information"]

Array = npt.NDArray[Any]


def binned(codes: npt.ArrayLike, bins: int = 20) -> Array:
    """In which of as many equally wide bins codes are, each from its smallest to its largest, ``(n, d)`` int64.

    Example:
        >>> binned([[0.0], [0.4], [1.0]], 4).tolist()
        [[0], [1], [3]]
    """
    z = np.asarray(codes, dtype=np.float64)
    edges = (np.histogram_bin_edges(column, bins)[:-1] for column in z.T)
    found = [np.searchsorted(edge, column, "right") - 1 for edge, column in zip(edges, z.T, strict=True)]
    return np.stack(found, 1).astype(np.int64)


def entropy(factors: Array) -> Array:
    """``H(v_k) = -Σ p log p`` of the values that are there, ``(n, k)`` → ``(k,)``, nats."""
    shares = (np.bincount(column) / len(factors) for column in factors.T)
    return np.array([-(p[p > 0] * np.log(p[p > 0])).sum() for p in shares])


def mutual_information(labels: Array, factors: Array) -> Array:
    """``I(a_i; v_k)`` of every pair by counting, ``(n, d)`` and ``(n, k)`` numbered from 0 → ``(d, k)``, nats.

    Example:
        >>> labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> mutual_information(labels, labels[:, :1]).round(4).tolist()
        [[0.6931], [0.0]]
    """
    n, sizes = len(labels), factors.max(0) + 1
    offsets, total, rows = np.cumsum(sizes) - sizes, int(sizes.sum()), int(labels.max()) + 1
    columns, found = factors + offsets, np.empty((labels.shape[1], factors.shape[1]))
    # All factors in one count.
    of_factors = np.bincount(columns.ravel(), minlength=total) / n
    for i, label in enumerate(labels.T):
        counts = np.bincount((label[:, None] * total + columns).ravel(), minlength=rows * total)
        joint = counts.reshape(rows, total) / n
        of_label = np.bincount(label, minlength=rows) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(joint > 0, joint * np.log(joint / (of_label[:, None] * of_factors)), 0.0)
        found[i] = np.add.reduceat(terms.sum(0), offsets)
    return found.clip(0.0)
