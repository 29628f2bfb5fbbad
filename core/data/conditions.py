"""Conditions: the context that a model is given beside the values of an example."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo
from genmod.defaults import LABELLED
from genmod.errors import DataError, UsageError

__all__ = ["Conditions", "joined", "joined_shape"]


def joined(x: Tensor, context: Tensor) -> Tensor:
    """Values with a vector for each example beside them.

    ``x (B, C, H, W), context (B, D) → (B, C + D, H, W)``, the vector as constant channels; of any other shape
    ``x (B, …) → (B, N + D)``.

    Example:
        >>> joined(torch.zeros(2, 1, 8, 8), torch.ones(2, 3)).shape, joined(torch.zeros(2, 5), torch.ones(2, 3)).shape
        (torch.Size([2, 4, 8, 8]), torch.Size([2, 8]))
    """
    if x.dim() == 4:
        return torch.cat([x, context[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
    return torch.cat([x.flatten(1), context], 1)


def joined_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape of one example of :func:`joined`.

    Example:
        >>> joined_shape((1, 8, 8), 3), joined_shape((5,), 3), joined_shape((5,), 0)
        ((4, 8, 8), (8,), (5,))
    """
    if not size:
        return shape
    return (shape[0] + size, *shape[1:]) if len(shape) == 3 else (math.prod(shape) + size,)


class Conditions:
    """The properties of an example that a model is conditioned on, as one-hot vectors side by side.

    Args:
        names: ``label`` for the class, or names of factors.
        data: classes and factors of the data.

    Raises:
        UsageError: the data have no such property.

    Example:
        >>> conditions = Conditions(("label",), DataInfo((1, 8, 8), classes=("zero", "one", "two")))
        >>> conditions.size, conditions.chosen("one", 2).tolist()
        (3, [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    """

    def __init__(self, names: Sequence[str], data: DataInfo) -> None:
        values = {factor.name: factor.names for factor in data.factors}
        if data.classes:
            values = {"label": data.classes, **values}
        unknown = [name for name in names if name not in values]
        if unknown:
            raise UsageError(
                f"the data have no {', '.join(map(repr, unknown))} to condition on",
                hint=f"they have: {', '.join(values)}" if values else f"choose data with labels: {LABELLED}",
            )
        self.values = {name: values[name] for name in names}
        self._factors = [factor.name for factor in data.factors]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(map(len, self.values.values()))

    def of(self, batch: Batch) -> Tensor:
        """The vectors of a batch, ``(B, size)`` float.

        Raises:
            DataError: the batch has no labels or factors, or others than were declared.
        """
        columns = [self._column(name, batch) for name in self.values]
        return self._one_hot(columns)

    def chosen(self, text: str | None, n: int) -> Tensor:
        """Vectors for ``n`` examples with some values, ``(n, size)``.

        Args:
            text: a class such as ``7``, or ``name=value`` for each condition, with commas between;
                other conditions take all of their values in turn.
            n: number of examples.

        Raises:
            UsageError: no such condition or value.
        """
        wanted = self._parse(text) if text else {}
        columns = []
        for name, values in self.values.items():
            if name in wanted:
                columns.append(torch.full((n,), wanted[name]))
            else:
                columns.append(torch.arange(n) % len(values))
        return self._one_hot(columns)

    def places_of(self, vectors: Tensor) -> Tensor:
        """Which of its values each condition has, ``(B, size) → (B, conditions)`` int64.

        Example:
            >>> conditions = Conditions(("label",), DataInfo((1, 8, 8), classes=("zero", "one", "two")))
            >>> conditions.places_of(conditions.chosen(None, 2)).tolist()
            [[0], [1]]
        """
        parts = vectors[:, : self.size].split([len(values) for values in self.values.values()], 1)
        return torch.stack([part.argmax(1) for part in parts], 1)

    def text_of(self, vector: Tensor) -> str:
        """What :meth:`chosen` reads as this vector ``(size,)``.

        Example:
            >>> conditions = Conditions(("label",), DataInfo((1, 8, 8), classes=("zero", "one", "two")))
            >>> conditions.text_of(torch.tensor([0.0, 1.0, 0.0]))
            'label=one'
        """
        places = self.places_of(vector[None])[0].tolist()
        named = zip(self.values.items(), places, strict=True)
        return ",".join(f"{name}={values[place]}" for (name, values), place in named)

    def _parse(self, text: str) -> Mapping[str, int]:
        wanted = {}
        for part in text.split(","):
            name, equals, value = part.rpartition("=")
            name, value = name.strip() if equals else next(iter(self.values)), value.strip()
            if name not in self.values:
                raise UsageError(
                    f"the model is not conditioned on {name!r}",
                    hint=f"it is conditioned on: {', '.join(self.values)}",
                )
            values = self.values[name]
            if value not in values:
                raise UsageError(
                    f"{value!r} is no value of {name}",
                    hint=f"its values: {', '.join(values[:20])}" + (" …" if len(values) > 20 else ""),
                )
            wanted[name] = values.index(value)
        return wanted

    def _column(self, name: str, batch: Batch) -> Tensor:
        column = batch.labels if name == "label" and "label" not in self._factors else None
        if name in self._factors and batch.factors is not None:
            column = batch.factors[:, self._factors.index(name)]
        if column is None:
            raise DataError(
                f"the model is conditioned on {name}, which these examples do not have",
                hint="give data with labels, such as the model was built for",
            )
        count = len(self.values[name])
        # Reading values on a GPU would make every step wait for it.
        seen = column.device.type == "cpu" and len(column) > 0
        if seen and not (int(column.min()) >= 0 and int(column.max()) < count):
            raise DataError(
                f"{name} is {int(column.min())} to {int(column.max())}; 0 to {count - 1} were declared"
            )
        return column

    def _one_hot(self, columns: Sequence[Tensor]) -> Tensor:
        vectors = [
            torch.nn.functional.one_hot(column.long(), len(values))
            for column, values in zip(columns, self.values.values(), strict=True)
        ]
        return torch.cat(vectors, 1).to(torch.get_default_dtype())
