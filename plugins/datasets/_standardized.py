"""Tables with columns of mean 0 and standard deviation 1."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genmod import Batch, DataError, DataWarning

__all__ = ["standardized", "statistics_of"]


def statistics_of(
    train: Tensor, which: bool | str | Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What is subtracted from each column, and what it is divided by.

    Args:
        train: the training examples, ``(N, columns)`` floats, NaN where a value is missing.
        which: columns, by number; True for those that are not of several whole numbers from 0 to 255; ``file`` for all,
            of models that do not know them.

    Raises:
        DataError: no table of floats, or no such column.
    """
    if train.dim() != 2 or not train.is_floating_point():
        raise DataError(
            "only tables of floats, and not counts, can be standardised",
            hint="leave -s dataset.standardize out",
        )
    train = train.double()
    mean = train.nanmean(0)
    deviation = (train - mean).square().nanmean(0).sqrt()
    if which == "file":
        warnings.warn(
            "the means and deviations by which the data of this model were standardised are not known; those of this "
            "file are taken, so that other files are on other scales: build and train it again to keep them",
            DataWarning,
            stacklevel=2,
        )
        shift, scale = mean, deviation.where(deviation > 0, 1.0)
    else:
        chosen = _continuous(train) if which is True else _numbered(which, train.shape[1])  # type: ignore[arg-type]
        # A deviation that is all rounding error belongs to a column that does not vary.
        varies = deviation > 1e-12 * mean.abs()
        shift = torch.where(chosen, mean.nan_to_num(), 0.0)
        scale = torch.where(chosen & varies, deviation, 1.0)
    return tuple(shift.tolist()), tuple(scale.tolist())


def standardized(part: Batch, shift: Sequence[float], scale: Sequence[float]) -> Batch:
    """``(x - shift) / scale`` of each column of ``x (N, columns)``, in double precision, then stored in single."""
    a, b = (torch.tensor(each, dtype=torch.float64) for each in (shift, scale))
    return replace(part, x=((part.x - a) / b).float())


def _continuous(x: Tensor) -> Tensor:
    """Which columns are not of several whole numbers from 0 to 255, ``(N, columns) → (columns,)``."""
    seen = ~x.isnan()
    varies = (seen & (x != x.nan_to_num(torch.inf).amin(0))).any(0)
    return ~varies | (seen & ((x != x.round()) | (x < 0) | (x > 255))).any(0)


def _numbered(which: Sequence[int], columns: int) -> Tensor:
    if not which or max(which) >= columns:
        raise DataError(
            f"columns {', '.join(map(str, which)) or 'none'} are to be standardised; there are 0 to {columns - 1}"
        )
    chosen = torch.zeros(columns, dtype=torch.bool)
    chosen[list(which)] = True
    return chosen
