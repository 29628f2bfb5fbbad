"""Metrics of a run: means over examples, accumulated without synchronising with the device at each step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genmod.evaluation.impossible import ImpossibleError, Limits, impossible
from genmod.interfaces.objective import Terms

__all__ = ["RunningMeans"]

_MOST_PENDING = 256
"""Steps whose terms are kept on the device before they are summed together."""


class RunningMeans:
    """Means over the examples of several batches, in double precision.

    Batches are summed one by one in their order, so that the means do not depend on when they are read.

    Args:
        limits: bounds of possible values, see :func:`genmod.evaluation.impossible.limits_of`.

    Attributes:
        impossible: a description of the first impossible value; empty if there was none.
        waits: whether batches are kept, without end, until somebody asks for the means.

    Example:
        >>> means = RunningMeans()
        >>> means.add(Terms(torch.tensor(1.0), {"rate": torch.tensor([1.0, 3.0])}), 2)
        >>> means.add(Terms(torch.tensor(4.0), {"rate": torch.tensor([5.0])}), 1)
        >>> means.take()
        {'loss': 2.0, 'rate': 3.0}
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.impossible, self.waits = "", False
        self.limits = limits or {}
        self._pending: list[tuple[Tensor, Mapping[str, Tensor], int]] = []
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, terms: Terms, examples: int) -> None:
        """Add the terms of a batch with the given number of examples."""
        values = {name: value.detach() for name, value in terms.values.items()}
        self._pending.append((terms.total.detach(), values, examples))
        if self.full and not self.waits:
            self._settle()

    @property
    def full(self) -> bool:
        """Whether as many batches are kept as should be."""
        return len(self._pending) >= _MOST_PENDING

    def forget(self, batches: int) -> None:
        """Take the last batches out again, of which nobody has asked for the means yet."""
        del self._pending[len(self._pending) - batches :]

    def take(self) -> dict[str, float]:
        """Return the means so far and reset them; empty if nothing was added."""
        state = self.state()
        self._sums, self._count = {}, 0
        return (
            {name: value / state["count"] for name, value in state["sums"].items()} if state["count"] else {}
        )

    def so_far(self) -> dict[str, float]:
        """The means so far, which go on; empty if nothing was added."""
        self._settle()
        return {name: value / self._count for name, value in self._sums.items()} if self._count else {}

    def state(self) -> dict[str, Any]:
        """Sums, number of examples, and the description of an impossible value, as plain data."""
        self._settle()
        state = {"sums": dict(self._sums), "count": self._count}
        return {**state, "impossible": self.impossible} if self.impossible else state

    def possible(self) -> Self:
        """These means, if all values are possible.

        Raises:
            ImpossibleError: a value is impossible, so a component computes it wrongly.
        """
        if self.impossible:
            raise ImpossibleError(
                f"a value that no model can have: {self.impossible}",
                hint="the best weights so far are kept; check the component that computes it: genmod check KIND/NAME",
            )
        return self

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the sums that :meth:`state` returned."""
        self._pending.clear()
        self._sums, self._count = dict(state["sums"]), int(state["count"])

    @classmethod
    def of(cls, states: Sequence[Mapping[str, Any]]) -> Self:
        """The means over the batches of several processes, from their states."""
        means = cls()
        for state in states:
            for name, value in state["sums"].items():
                means._add(name, value)
            means._count += int(state["count"])
            means.impossible = means.impossible or state.get("impossible", "")
        return means

    def _settle(self) -> None:
        """Add the pending batches to the sums."""
        losses = torch.stack([loss for loss, _, _ in self._pending]).tolist() if self._pending else []
        names = dict.fromkeys(name for _, values, _ in self._pending for name in values)
        named = {name: _arrays([v[name] for _, v, _ in self._pending if name in v]) for name in names}
        for name in named.keys() & self.limits.keys():
            self.impossible = self.impossible or impossible(self.limits, name, np.concatenate(named[name]))
        sums = {name: _sums(arrays) for name, arrays in named.items()}
        for loss, (_, values, examples) in zip(losses, self._pending, strict=True):
            self._add("loss", loss * examples)
            for name in values:
                self._add(name, next(sums[name]))
            self._count += examples
        self._pending.clear()

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value


def _arrays(values: list[Tensor]) -> npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]:
    """The values of each batch, ``(B,)``, copied from the device at once if all batches have one size."""
    if len({value.shape for value in values}) == 1:
        return torch.stack(values).cpu().double().numpy()
    return [value.cpu().double().numpy() for value in values]


def _sums(arrays: npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]) -> Iterator[float]:
    """The sum of each array ``(B,)``, in an order that depends on B alone, which torch does not guarantee."""
    if isinstance(arrays, np.ndarray):
        return iter(arrays.sum(axis=1).tolist())
    return (float(each.sum()) for each in arrays)
