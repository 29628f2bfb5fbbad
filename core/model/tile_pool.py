"""What layers of a network find in all tiles of a picture."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from torch import nn

from genmod.nn.pooled import Own, Pool, PooledLayer

__all__ = ["TilePool", "pooled_layers"]

Found = TypeVar("Found")
Share = tuple[float, float]


def pooled_layers(model: nn.Module) -> dict[PooledLayer, str]:
    """The layers that look at maps as a whole, with their names."""
    return {layer: name for name, layer in model.named_modules() if isinstance(layer, PooledLayer)}


@final
class TilePool(Pool):
    """Asks each layer once, while tiles all over the picture are run side by side; then tells what was found.

    Layers are known by their names, so that models for tiles of other sizes are told the same.
    """

    def __init__(self) -> None:
        self._own: Sequence[tuple[Share, Share]] | None = None
        self._found: dict[tuple[str, int], Any] = {}
        self._asked: Counter[str] = Counter()
        self._names: dict[PooledLayer, str] = {}

    def join(self, model: nn.Module, own: Sequence[tuple[Share, Share]] | None = None) -> None:
        """Before each run of a model: take over the layers that look at a whole.

        Args:
            model: runs the tiles.
            own: the part of each tile, of its rows and its columns, that counts, where tiles of the whole picture are run side
                by side, and what is found there holds; without it, what was found before does.
        """
        self._own, self._names = own, pooled_layers(model)
        self._asked.clear()
        for layer in self._names:
            layer.pool = self

    def of_all(self, layer: PooledLayer, size: tuple[int, int], find: Callable[[Own], Found]) -> Found:
        name = self._names[layer]
        key = name, self._asked[name]
        self._asked[name] += 1
        if self._own is not None:
            self._found[key] = find(
                [(_within(rows, size[0]), _within(columns, size[1])) for rows, columns in self._own]
            )
        found: Found = self._found[key]
        return found


def _within(share: Share, length: int) -> slice:
    return slice(round(share[0] * length), round(share[1] * length))
