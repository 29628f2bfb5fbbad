"""Random operations of a step: which dimension holds the examples, and how an operation is widened to a larger batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genmod.errors import UsageError

__all__ = ["Draw", "Portion", "has_sizes", "order_of", "sizes_of"]


def _named(*functions: Callable[..., Any]) -> set[str]:
    return {function.__name__.removesuffix("_") for function in functions}


_BY_VALUE = {"_standard_gamma", "_sample_dirichlet", "multinomial", *_named(torch.poisson, torch.binomial)}
"""Operations that use as much of the random stream as the values of their arguments require: all processes' are needed."""

_FILLS = (Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.log_normal_, Tensor.cauchy_)
_BY_SHAPE = _named(*_FILLS, Tensor.geometric_, Tensor.random_, torch.rand, torch.randn, torch.randint)
_BY_SHAPE |= _named(torch.rand_like, torch.randn_like, torch.randint_like, torch.bernoulli, torch.dropout)
_BY_SHAPE |= {"native_dropout"}
"""Operations that use the same amount of the random stream for each number."""

Sizes = tuple[int, ...]


class Portion(NamedTuple):
    """A process's part of a batch.

    Args:
        first: index of its first example.
        mine: number of its examples.
        whole: number of examples in the batch.
        trial: number of examples in a rehearsal; differs from ``mine`` and ``whole``.
    """

    first: int
    mine: int
    whole: int
    trial: int


def has_sizes(each: Any) -> bool:
    """Whether an argument is a tensor, a shape or an integer, so that it may contain the number of examples.

    Example:
        >>> has_sizes(torch.Size([2, 3])), has_sizes(3), has_sizes(0.5)
        (True, True, False)
    """
    sizes = isinstance(each, list | tuple) and bool(each) and all(type(n) is int for n in each)
    return sizes or isinstance(each, Tensor) or type(each) is int


def sizes_of(each: Any) -> Sizes:
    """The shape of a tensor, or a shape itself; an integer is a shape of one dimension.

    Example:
        >>> sizes_of(torch.zeros(2, 3)), sizes_of(3)
        ((2, 3), (3,))
    """
    return (
        tuple(each.shape) if isinstance(each, Tensor) else (each,) if isinstance(each, int) else tuple(each)
    )


def order_of(each: Any) -> list[int]:
    """Dimensions of a tensor from the outermost in memory to the innermost; empty for anything else.

    Example:
        >>> order_of(torch.zeros(2, 3).T)
        [1, 0]
    """
    return sorted(range(each.dim()), key=lambda i: (-each.stride()[i], i)) if isinstance(each, Tensor) else []


@dataclass(frozen=True)
class Draw:
    """A random operation, as recorded in the rehearsal.

    The dimension whose size changes with the number of examples is the batch dimension. It may be flattened together
    with others: ``rows`` draws of each example in front of the examples, other dimensions behind them.

    Args:
        name: name of the operation.
        where: file and line that call it.
        given: shapes of its arguments, in order.
        orders: dimensions of each argument, from the outermost in memory to the innermost.
        made: shapes of its results.
        rows: draws of each example in front of the examples; None if unknown.
    """

    name: str
    where: str
    given: list[Sizes]
    orders: list[list[int]]
    made: list[Sizes]
    rows: int | None

    def widened(self, index: int, given: Any, portion: Portion, gather: Callable[[Tensor], Tensor]) -> Any:
        """An argument for the whole batch; the argument itself if it has no batch dimension.

        Raises:
            UsageError: the operation cannot be widened to the whole batch.
        """
        sizes = sizes_of(given)
        dim = self._dim(sizes, self.given[index], portion, portion.mine)
        if dim is None:
            return given
        if isinstance(given, int):
            raise self._refused(f"it is given a number of examples, {given}")
        if self.name not in _BY_SHAPE | _BY_VALUE:
            raise self._refused("it draws them internally, in the forward and in the backward pass")
        times = sizes[dim] // portion.mine
        wanted = (*sizes[:dim], times * portion.whole, *sizes[dim + 1 :])
        if not isinstance(given, Tensor):
            return list(wanted)
        front, behind = self._around(times)
        split = given.detach().unflatten(dim, (front, portion.mine, behind))
        if self.name in _BY_VALUE:
            return gather(split.movedim(dim + 1, 0).contiguous()).movedim(0, dim + 1).reshape(wanted)
        # With the memory layout of the argument: numbers are drawn in that order.
        order = self.orders[index]
        whole = torch.empty_permuted(wanted, order, dtype=given.dtype, device=given.device).fill_(0)
        places = whole.unflatten(dim, (front, portion.whole, behind))
        places.narrow(dim + 1, portion.first, portion.mine).copy_(split)
        return whole

    def own(self, made: Any, sizes: Sizes, portion: Portion) -> Any:
        """The part of a result for the whole batch that belongs to this process's examples.

        Args:
            made: the result.
            sizes: shape of the result in the rehearsal.
            portion: this process's part of the batch.
        """
        if not isinstance(made, Tensor):
            return made
        dim = self._dim(tuple(made.shape), sizes, portion, portion.whole)
        if dim is None:
            return made
        front, behind = self._around(made.shape[dim] // portion.whole)
        split = made.unflatten(dim, (front, portion.whole, behind))
        return split.narrow(dim + 1, portion.first, portion.mine).flatten(dim, dim + 2).clone()

    def _dim(self, sizes: Sizes, trial: Sizes, portion: Portion, examples: int) -> int | None:
        """The batch dimension: the one whose size is not that of the rehearsal; None if there is none."""
        if len(sizes) == len(trial):
            changed = [i for i, pair in enumerate(zip(sizes, trial, strict=True)) if pair[0] != pair[1]]
            if not changed:
                return None
            times, left = divmod(trial[changed[0]], portion.trial)
            if len(changed) == 1 and not left:
                if sizes[changed[0]] == times * examples:
                    return changed[0]
                if sizes[changed[0]] == times * portion.whole:
                    # It already has the examples of all processes.
                    return None
        raise self._refused(
            f"its shape is {sizes} for {examples} examples and {trial} for {portion.trial} examples"
        )

    def _around(self, times: int) -> tuple[int, int]:
        """How many numbers of each example lie in front of the examples in the batch dimension, and how many behind."""
        if times == 1:
            return 1, 1
        if self.rows is None or times % self.rows:
            raise self._refused(f"{times} numbers of each example lie in one dimension with the examples")
        return self.rows, times // self.rows

    def _refused(self, why: str) -> UsageError:
        return UsageError(
            f"random numbers drawn by {self.name} in {self.where} cannot be shared among processes: {why}",
            hint="train in one process; or draw with a dimension that holds the examples alone, as in "
            "torch.randn(samples, len(x), size)",
        )
