"""Where the examples lie in a draw of random numbers, and what becomes of it when there are more of them."""

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
"""How much of the stream they take depends on their arguments, so that those of all processes are needed."""

_FILLS = (Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.log_normal_, Tensor.cauchy_)
_BY_SHAPE = _named(*_FILLS, Tensor.geometric_, Tensor.random_, torch.rand, torch.randn, torch.randint)
_BY_SHAPE |= _named(torch.rand_like, torch.randn_like, torch.randint_like, torch.bernoulli, torch.dropout)
_BY_SHAPE |= {"native_dropout"}
"""Each number takes as much of the stream as any other."""

Sizes = tuple[int, ...]


class Portion(NamedTuple):
    """A process's part of a batch.

    Args:
        first: number of its first example.
        mine: how many it has.
        whole: how many the batch has.
        trial: how many a rehearsal has: neither as many as the process nor as the batch.
    """

    first: int
    mine: int
    whole: int
    trial: int


def has_sizes(each: Any) -> bool:
    """Whether an argument has, or is, a number that may be one of examples.

    Example:
        >>> has_sizes(torch.Size([2, 3])), has_sizes(3), has_sizes(0.5)
        (True, True, False)
    """
    sizes = isinstance(each, list | tuple) and bool(each) and all(type(n) is int for n in each)
    return sizes or isinstance(each, Tensor) or type(each) is int


def sizes_of(each: Any) -> Sizes:
    """Those of a tensor; a number alone is one size.

    Example:
        >>> sizes_of(torch.zeros(2, 3)), sizes_of(3)
        ((2, 3), (3,))
    """
    return (
        tuple(each.shape) if isinstance(each, Tensor) else (each,) if isinstance(each, int) else tuple(each)
    )


def order_of(each: Any) -> list[int]:
    """Dimensions of a tensor from the outermost in memory to the innermost; none of anything else.

    Example:
        >>> order_of(torch.zeros(2, 3).T)
        [1, 0]
    """
    return sorted(range(each.dim()), key=lambda i: (-each.stride()[i], i)) if isinstance(each, Tensor) else []


@dataclass(frozen=True)
class Draw:
    """A draw as it was in the rehearsal.

    What differs from it in a draw with another number of examples is the dimension of the examples. In one dimension with
    them may lie ``rows`` of each in front, those of the first draw before those of the second, and others behind.

    Args:
        name: of the operation.
        where: it is called.
        given: sizes of its arguments, in order.
        orders: dimensions of each from the outermost in memory to the innermost.
        made: sizes of its results.
        rows: for each example in front; None where that is not known.
    """

    name: str
    where: str
    given: list[Sizes]
    orders: list[list[int]]
    made: list[Sizes]
    rows: int | None

    def widened(self, index: int, given: Any, portion: Portion, gather: Callable[[Tensor], Tensor]) -> Any:
        """An argument for the whole batch; the argument itself where it has no dimension of examples.

        Raises:
            UsageError: the draw cannot be shared out.
        """
        sizes = sizes_of(given)
        dim = self._dim(sizes, self.given[index], portion, portion.mine)
        if dim is None:
            return given
        if isinstance(given, int):
            raise self._refused(f"it is given a number of examples, {given}")
        if self.name not in _BY_SHAPE | _BY_VALUE:
            raise self._refused("it draws them inside, and again on its way back")
        times = sizes[dim] // portion.mine
        wanted = (*sizes[:dim], times * portion.whole, *sizes[dim + 1 :])
        if not isinstance(given, Tensor):
            return list(wanted)
        front, behind = self._around(times)
        split = given.detach().unflatten(dim, (front, portion.mine, behind))
        if self.name in _BY_VALUE:
            return gather(split.movedim(dim + 1, 0).contiguous()).movedim(0, dim + 1).reshape(wanted)
        # In memory as the argument is: numbers are drawn in that order.
        order = self.orders[index]
        whole = torch.empty_permuted(wanted, order, dtype=given.dtype, device=given.device).fill_(0)
        places = whole.unflatten(dim, (front, portion.whole, behind))
        places.narrow(dim + 1, portion.first, portion.mine).copy_(split)
        return whole

    def own(self, made: Any, sizes: Sizes, portion: Portion) -> Any:
        """The part of a result for the whole batch that belongs to the own examples.

        Args:
            made: the result.
            sizes: of what it was in the rehearsal.
            portion: of the batch.
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
        """The dimension that has changed with the number of examples, to so many of them."""
        if len(sizes) == len(trial):
            changed = [i for i, pair in enumerate(zip(sizes, trial, strict=True)) if pair[0] != pair[1]]
            if not changed:
                return None
            times, left = divmod(trial[changed[0]], portion.trial)
            if len(changed) == 1 and not left:
                if sizes[changed[0]] == times * examples:
                    return changed[0]
                if sizes[changed[0]] == times * portion.whole:
                    # It has the examples of all processes already.
                    return None
        raise self._refused(
            f"its shape is {sizes} with {examples} examples, and {trial} with {portion.trial} of them"
        )

    def _around(self, times: int) -> tuple[int, int]:
        """How many rows of an example lie in front of the dimension of examples, and how many behind."""
        if times == 1:
            return 1, 1
        if self.rows is None or times % self.rows:
            raise self._refused(f"{times} numbers of each example lie in one dimension with the examples")
        return self.rows, times // self.rows

    def _refused(self, why: str) -> UsageError:
        return UsageError(
            f"random numbers that are drawn by {self.name} in {self.where} cannot be shared out among processes: {why}",
            hint="train in one process; or give the examples a dimension of their own where they are drawn, as in "
            "torch.randn(samples, len(x), size)",
        )
