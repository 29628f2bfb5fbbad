"""Samplers under test, fitted to codes whose distribution is known."""

import copy
import functools
import json
from typing import Any

import torch
from torch import Tensor

from genmod.interfaces.sampler import Sampler
from genmod.options.schema import to_json, validate
from genmod.testing.case import Case

__all__ = ["COVARIANCE", "MEAN", "fitted", "known_codes", "new", "uneven_codes"]

MEAN = (3.0, -1.0)
COVARIANCE = ((4.0, 0.6), (0.6, 0.25))
"""Of two latents; of other numbers of them, the two alternate."""

_SEED = 7


def known_codes(shape: tuple[int, ...], count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draws of a normal with the covariance above between each two neighbours, ``(count, *shape)``.

    Example:
        >>> known_codes((2, 3), 5).shape
        torch.Size([5, 2, 3])
    """
    fixed = torch.Generator().manual_seed(5)
    size = torch.Size(shape).numel()
    noise = torch.randn(count, -(-size // 2), 2, generator=fixed, dtype=torch.float64, device="cpu")
    pairs = torch.tensor(MEAN).double() + noise @ torch.linalg.cholesky(torch.tensor(COVARIANCE).double()).T
    return pairs.flatten(1)[:, :size].reshape(count, *shape).to(dtype)


def uneven_codes(count: int) -> Tensor:
    """Codes of two latents in two groups far apart, four in five in the first; one group after the other, ``(count, 2)``.

    Example:
        >>> uneven_codes(10)[:, 0].round().abs()
        tensor([0., 0., 0., 0., 0., 0., 0., 0., 8., 8.], dtype=torch.float64)
    """
    fixed = torch.Generator().manual_seed(6)
    noise = 0.15 * torch.randn(count, 2, generator=fixed, dtype=torch.float64, device="cpu")
    second = torch.arange(count) >= count - count // 5
    return noise + second[:, None] * torch.tensor([8.0, -2.0], dtype=torch.float64)


def new(case: Case, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Any:
    """The sampler, not yet fitted."""
    return case.build(shape).to(dtype=dtype)


def fitted(
    case: Case,
    shape: tuple[int, ...],
    count: int,
    dtype: torch.dtype = torch.float64,
    seed: int = _SEED,
    *,
    uneven: bool = False,
) -> Any:
    """The sampler, fitted to known codes, or to uneven ones; each fit is done once.

    Raises:
        UsageError: it refuses the shape, or so few codes.
    """
    values = validate(case.cls, case.options, case.kind)
    return copy.deepcopy(
        _fit(case.cls, json.dumps(to_json(case.cls, values)), shape, count, dtype, seed, uneven)
    )


@functools.lru_cache(maxsize=64)
def _fit(
    cls: Any,
    options: str,
    shape: tuple[int, ...],
    count: int,
    dtype: torch.dtype,
    seed: int,
    uneven: bool,
) -> Sampler:
    made: Sampler = cls(shape, **validate(cls, json.loads(options), "sampler"))
    made.to(dtype=dtype)
    codes = uneven_codes(count).to(dtype) if uneven else known_codes(shape, count, dtype)
    made.fit(codes, seed=seed)
    return made.eval()
