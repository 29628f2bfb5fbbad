"""Metrics of a run: means over examples, gathered without waiting for the device at each step."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from genmod.objective import Terms

__all__ = ["RunningMeans"]


class RunningMeans:
    """Means over the examples of several batches, in double precision.

    Batches are summed one by one in their order, so that the means do not depend on when they are looked at.

    Example:
        >>> means = RunningMeans()
        >>> means.add(Terms(torch.tensor(1.0), {"rate": torch.tensor([1.0, 3.0])}), 2)
        >>> means.add(Terms(torch.tensor(4.0), {"rate": torch.tensor([5.0])}), 1)
        >>> means.take()
        {'loss': 2.0, 'rate': 3.0}
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, Mapping[str, Tensor], int]] = []
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, terms: Terms, examples: int) -> None:
        """Take in a batch of so many examples."""
        values = {name: value.detach() for name, value in terms.values.items()}
        self._pending.append((terms.total.detach(), values, examples))

    def take(self) -> dict[str, float]:
        """The means so far, and begin anew; empty where nothing was added."""
        state = self.state()
        self._sums, self._count = {}, 0
        return (
            {name: value / state["count"] for name, value in state["sums"].items()} if state["count"] else {}
        )

    def state(self) -> dict[str, Any]:
        """Sums and number of examples, as plain data."""
        if self._pending:
            losses = torch.stack([loss for loss, _, _ in self._pending]).double().cpu().tolist()
            named = {
                name: torch.stack([values[name].double().sum() for _, values, _ in self._pending])
                .cpu()
                .tolist()
                for name in self._pending[0][1]
            }
            for i, (_, _, examples) in enumerate(self._pending):
                self._add("loss", losses[i] * examples)
                for name, sums in named.items():
                    self._add(name, sums[i])
                self._count += examples
            self._pending.clear()
        return {"sums": dict(self._sums), "count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums of :meth:`state`."""
        self._pending.clear()
        self._sums, self._count = dict(state["sums"]), int(state["count"])

    @classmethod
    def of(cls, states: Sequence[Mapping[str, Any]]) -> Self:
        """The means over all that several processes have taken in."""
        means = cls()
        for state in states:
            for name, value in state["sums"].items():
                means._add(name, value)
            means._count += int(state["count"])
        return means

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value
