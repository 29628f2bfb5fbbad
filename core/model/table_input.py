"""What an encoder is given of a table: categories as vectors, numbers side by side, and which cells are missing."""

import torch
from torch import Tensor, nn

from genmod.data.info import DataInfo

__all__ = ["TableInput"]

_ONE_HOT = 32
"""Categories of more values are embedded."""


class TableInput(nn.Module):
    """Observations of a table with named columns as an encoder's input, ``(B, columns) → (B, width)``.

    Categories are one-hot, or vectors that are trained where there are more than 32 values; counts ``log(1 + x)``; other
    numbers as they are, standardised. Of missing cells all of these are 0, and where cells may be missing a mask of those
    that were observed is added.

    Args:
        data: with columns.

    Example:
        >>> from genmod.data.column import Column
        >>> columns = (Column("a", "category", "String", ("x", "y", "z")), Column("b", "real", "Float64"))
        >>> data = DataInfo((2,), -torch.inf, torch.inf, shift=(0.0, 0.0), scale=(1.0, 1.0), columns=columns)
        >>> TableInput(data)(torch.tensor([[1.0, 0.5]]))
        tensor([[0.0000, 1.0000, 0.0000, 0.5000]])
    """

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.columns, self.missing = data.modelled, data.missing
        many = {
            i: len(column.values) for i, column in enumerate(self.columns) if len(column.values) > _ONE_HOT
        }
        # Torch's own start of an embedding takes seconds without memory: it imports the compiler.
        starts = {i: torch.randn(count, round(count**0.5)) for i, count in many.items()}
        self.embeddings = nn.ModuleDict(
            {str(i): nn.Embedding(len(start), start.shape[1], _weight=start) for i, start in starts.items()}
        )
        sizes = [self._size(i) for i in range(len(self.columns))]
        self.width = sum(sizes) + (len(sizes) if self.missing else 0)

    def _size(self, place: int) -> int:
        column = self.columns[place]
        if str(place) in self.embeddings:
            return int(self.embeddings[str(place)].embedding_dim)  # type: ignore[arg-type]
        return len(column.values) if column.coded and column.kind != "binary" else 1

    def forward(self, x: Tensor) -> Tensor:
        seen = ~x.isnan()
        filled = torch.where(seen, x, 0.0)
        pieces = [self._piece(i, filled[:, i]) * seen[:, i, None] for i in range(len(self.columns))]
        return torch.cat([*pieces, seen.to(x.dtype)] if self.missing else pieces, 1)

    def _piece(self, place: int, values: Tensor) -> Tensor:
        """One column, ``(B,) → (B, size)``."""
        column = self.columns[place]
        if column.kind == "count":
            return values.clamp(min=0).log1p()[:, None]
        if not column.coded or column.kind == "binary":
            return values[:, None]
        # Means of reconstructions lie between categories.
        codes = values.round().long().clamp(0, len(column.values) - 1)
        if str(place) in self.embeddings:
            found: Tensor = self.embeddings[str(place)](codes)
            return found.to(values.dtype)
        return nn.functional.one_hot(codes, len(column.values)).to(values.dtype)
