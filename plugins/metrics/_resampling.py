"""Resampling examples, for standard errors that no formula gives."""

import torch
from torch import Tensor

from genmod import Subject

__all__ = ["resamples"]

RESAMPLES = 200


def resamples(subject: Subject, stream: str, n: int) -> Tensor:
    """How often each of n examples is drawn when n are drawn with replacement, ``(200, n)`` float64.

    Args:
        subject: what is measured.
        stream: of random numbers.
        n: number of examples.
    """
    counts = torch.zeros(RESAMPLES, n, dtype=torch.float64)
    with subject.drawing(f"{stream}/resamples"):
        drawn = torch.randint(n, (RESAMPLES, n))
    return counts.scatter_add_(1, drawn, torch.ones_like(counts))
