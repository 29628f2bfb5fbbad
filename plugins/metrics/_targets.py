"""What is predicted from codes: classes and ground-truth factors of examples."""

from collections.abc import Mapping

import torch
from torch import Tensor

from genmod import Subject, UndefinedError
from genmod.evaluation import Coded

__all__ = ["fitted_and_measured", "flat", "targets"]


def targets(coded: Coded, subject: Subject) -> Mapping[str, Tensor]:
    """``label`` and the names of the factors → their values, ``(N,)`` int64.

    Labels that are one of the factors are left out.

    Raises:
        UndefinedError: there are neither labels nor factors.
    """
    found: dict[str, Tensor] = {}
    if coded.factors is not None:
        found = {factor.name: coded.factors[:, i] for i, factor in enumerate(subject.data.factors)}
    labels = coded.labels
    if labels is not None and not any(torch.equal(labels, column) for column in found.values()):
        found = {"label": labels, **found}
    if not found:
        raise UndefinedError("the data have no labels or factors")
    return found


def fitted_and_measured(subject: Subject) -> tuple[Coded, Coded]:
    """The codes of the training split and of the split that is measured.

    Raises:
        UndefinedError: there is no training split.
    """
    train, test = subject.codes("train"), subject.codes("split")
    if train.means.shape == test.means.shape and torch.equal(train.means, test.means):
        subject.warn("what is fitted to codes is measured on these codes themselves: choose --split test")
    return train, test


def flat(codes: Tensor) -> Tensor:
    """Codes ``(N, *latent_shape) → (N, L)`` float64."""
    return codes.flatten(1).double()
