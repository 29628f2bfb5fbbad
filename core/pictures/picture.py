"""A picture that keeps the numbers it is made of."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genmod.dataset import DataInfo
from genmod.errors import UsageError
from genmod.files import write_bytes
from genmod.pictures.grid import grid

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "Picture", "check_format"]

FORMATS = (".png", ".npz", ".safetensors")


def check_format(path: Path) -> None:
    """Refuse a file name that says no known format.

    Raises:
        UsageError: another suffix than those of :data:`FORMATS`.

    Example:
        >>> check_format(Path("samples.png"))
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{path} says no known format by its suffix {path.suffix!r}",
            hint=f"end the name in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}",
        )


@dataclass(frozen=True)
class Picture:
    """Examples laid out in a grid, and the latents they came from.

    Args:
        images: values, ``(N, *data.shape)`` or ``(rows, columns, *data.shape)``.
        data: shape and range of the data.
        latents: ``(N, *latent_shape)`` or ``(rows, columns, *latent_shape)``; None where there are none.
        extra: further named tensors that are saved with them.
        title: at the top of the picture.
        row_labels: to the left of each row.
        column_labels: above each column.

    Example:
        >>> import torch
        >>> picture = Picture(torch.rand(4, 1, 8, 8), DataInfo((1, 8, 8)))
        >>> picture.image().size, sorted(picture.arrays())
        ((158, 158), ['images'])
    """

    images: Tensor
    data: DataInfo
    latents: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    title: str = ""
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()

    def image(self, *, columns: int | None = None, scale: int | None = None) -> "Image":
        """Drawn by :func:`genmod.pictures.grid`, which explains the arguments."""
        return grid(
            self.images,
            data=self.data,
            columns=columns,
            scale=scale,
            row_labels=self.row_labels,
            column_labels=self.column_labels,
            title=self.title,
        )

    def arrays(self) -> dict[str, Tensor]:
        """Everything in it by name: ``images``, ``latents`` where there are any, and the extra ones."""
        latents = {} if self.latents is None else {"latents": self.latents}
        named = {"images": self.images, **latents, **self.extra}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}

    def save(self, path: Path | str) -> None:
        """Write it in one step: ``.png`` the drawing, ``.npz`` (NumPy) or ``.safetensors`` the arrays.

        The same picture always gives the same bytes.

        Raises:
            UsageError: the suffix is none of these.
            FileError: the file cannot be written.
        """
        path = Path(path)
        check_format(path)
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import save

            content = save(self.arrays())
        else:
            stream = io.BytesIO()
            if path.suffix.lower() == ".npz":
                import numpy as np

                arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in self.arrays().items()}
                np.savez_compressed(stream, **arrays)
            else:
                self.image().save(stream, "PNG", optimize=True)
            content = stream.getvalue()
        write_bytes(path, content)
