"""A picture that keeps the numbers it is made of."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.figures.grids import PAPER, grid
from genmod.figures.saving import FORMATS, MOVING_FORMATS, check_format
from genmod.figures.tiles import tiles
from genmod.system.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Picture", "arrays_as", "moving", "png_of"]

_LARGE_TILE, _LETTER = 112, 8
"""Pixels of a tile of a film, and of a letter below it, so that every tile is wide enough for its label."""
_MILLISECONDS = 120
_LONGEST_PAUSE = 600


def arrays_as(suffix: str, arrays: Mapping[str, Tensor]) -> bytes:
    """The bytes of an ``.npz`` or a ``.safetensors`` file; the same arrays always give the same ones."""
    if suffix == ".safetensors":
        from safetensors.torch import save

        return save(dict(arrays))
    import numpy as np

    stream = io.BytesIO()
    plain: dict[str, Any] = {name: tensor.numpy() for name, tensor in arrays.items()}
    np.savez_compressed(stream, **plain)
    return stream.getvalue()


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
        walk: whether the columns are steps of a walk, so that they can be shown one after the other.
        ends: examples that a walk leads from and to, ``(rows, *data.shape)`` each, drawn before its first step and after
            its last; None where it leads between no examples.
        row_of: of examples ``(N,)`` that are one after the other, the row in which each is drawn; None for as many rows as
            make a square.
        bare: whether the only example is shown pixel by pixel, without anything around it.

    Example:
        >>> import torch
        >>> picture = Picture(torch.rand(4, 1, 8, 8), DataInfo((1, 8, 8)))
        >>> picture.image().size, sorted(picture.arrays())
        ((239, 180), ['images'])
    """

    images: Tensor
    data: DataInfo
    latents: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    title: str = ""
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    walk: bool = False
    ends: tuple[Tensor, Tensor] | None = None
    row_of: Tensor | None = None
    bare: bool = False

    def _repr_png_(self) -> bytes:
        return png_of(self.image())

    def image(self, *, columns: int | None = None, scale: int | None = None) -> "Image":
        """Drawn by :func:`genmod.figures.grid`, which explains the arguments."""
        if self.bare:
            from PIL import Image

            return Image.fromarray(tiles(self.images, self.data, 1)[0].numpy())
        images, labels, blank = self.images, self.column_labels, None
        if self.row_of is not None:
            images, blank = _in_rows(images, self.row_of)
        if self.ends is not None:
            first, last = (end[:, None].to(images) for end in self.ends)
            images = torch.cat([first, images, last], 1)
            labels = ("from", *labels, "to") if labels else ()
        return grid(
            images,
            data=self.data,
            columns=columns,
            scale=scale,
            row_labels=self.row_labels,
            column_labels=labels,
            title=self.title,
            blank=blank,
        )

    def arrays(self) -> dict[str, Tensor]:
        """Its tensors by name: ``images``, in the units of the data before they were standardised, ``latents`` where
        there are any, and the extra ones.
        """
        latents = {} if self.latents is None else {"latents": self.latents}
        ends = {} if self.ends is None else dict(zip(("starts", "ends"), self.ends, strict=True))
        real = {name: self.data.original(images) for name, images in ends.items()}
        named = {"images": self.data.original(self.images), **latents, **real, **self.extra}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}

    def frames(self, *, scale: int | None = None) -> list["Image"]:
        """A walk step by step, there and back again; each frame shows that step of all rows, labelled.

        Raises:
            UsageError: the picture is no walk.
        """
        if not self.walk:
            raise UsageError(
                "a picture that is no walk does not move",
                hint="save it as .png; interpolations and traversals can be saved as .gif and .apng",
            )
        rows, steps = self.images.shape[:2]
        names = list(self.row_labels)
        shown = []
        for step in range(steps):
            at = f": {self.column_labels[step]}" if self.column_labels else ""
            title = f"{self.title}{at}"
            if self.ends is not None:
                # Each row from its start to its end, with the step between them.
                first, last = (end.to(self.images) for end in self.ends)
                images = torch.stack([first, self.images[:, step], last], 1)
                three = ("from", self.column_labels[step], "to") if self.column_labels else ()
                between = grid(
                    images, data=self.data, scale=scale, side=_LARGE_TILE, row_labels=names, column_labels=three,
                    title=self.title,
                )  # fmt: skip
                shown.append(between)
                continue
            # Labels of rows stand above their pictures here; so lines of pictures are blocks of a single row.
            labels = [*names, *[""] * (rows - len(names))] if names else ()
            side = max([_LARGE_TILE, *(_LETTER * len(name) for name in names)])
            whole = grid(
                self.images[None, :, step], data=self.data, columns=math.ceil(math.sqrt(rows)), scale=scale,
                side=side, column_labels=labels, title=title,
            )  # fmt: skip
            shown.append(whole)
        return [*shown, *shown[-2:0:-1]]

    def save(self, path: Path | str) -> None:
        """Write it in one step: ``.png`` the drawing, ``.npz`` (NumPy) or ``.safetensors`` the arrays.

        A walk can also be a film, ``.gif`` or ``.apng``. The same picture always gives the same bytes.

        Raises:
            UsageError: the suffix is none of these.
            FileError: the file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        check_format(path, MOVING_FORMATS if self.walk else FORMATS)
        if suffix in (".npz", ".safetensors"):
            write_bytes(path, arrays_as(suffix, self.arrays()))
        elif suffix == ".png":
            write_bytes(path, png_of(self.image()))
        else:
            write_bytes(path, moving(self.frames(), suffix))


def _in_rows(images: Tensor, row_of: Tensor) -> tuple[Tensor, Tensor]:
    """Examples ``(N, *shape)`` in their rows, in their order, ``(rows, columns, *shape)``, and where there are none."""
    rows = int(row_of.max()) + 1
    places = [(row_of == row).nonzero()[:, 0] for row in range(rows)]
    columns = max(map(len, places))
    whole = images[:1].expand(rows * columns, *images.shape[1:]).clone().unflatten(0, (rows, columns))
    blank = torch.ones(rows, columns, dtype=torch.bool)
    for row, mine in enumerate(places):
        whole[row, : len(mine)] = images[mine.to(images.device)]
        blank[row, : len(mine)] = False
    return whole, blank


def png_of(image: "Image") -> bytes:
    """The bytes of a ``.png`` file."""
    stream = io.BytesIO()
    # Not the smallest file: it would be 2 % smaller, and take nine times as long to find.
    image.save(stream, "PNG")
    return stream.getvalue()


def moving(
    frames: Sequence["Image"], suffix: str, milliseconds: int = _MILLISECONDS, *, last: int = 0
) -> bytes:
    """An endless film, as ``.gif`` or ``.apng``; the first frame stays longer.

    Args:
        frames: are brought to the size of the largest.
        suffix: ``.gif`` or ``.apng``.
        milliseconds: that each is shown.
        last: milliseconds that the last one is shown, if longer.
    """
    from PIL import Image

    size = (max(frame.width for frame in frames), max(frame.height for frame in frames))
    same = []
    for frame in frames:
        whole = Image.new("RGB", size, PAPER)
        whole.paste(frame, (0, 0))
        same.append(whole)
    durations = [max(_LONGEST_PAUSE, milliseconds), *[milliseconds] * (len(same) - 1)]
    durations[-1] = max(durations[-1], last)
    stream = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": same[1:], "duration": durations, "loop": 0}
    if suffix == ".gif":
        # One palette for all frames; else colours would flicker from one to the next.
        palette = _together(same).quantize(256, dither=Image.Dither.NONE)
        first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in same]
        first.save(stream, "GIF", **more | {"append_images": rest})
    else:
        same[0].save(stream, "PNG", **more)
    return stream.getvalue()


def _together(frames: Sequence["Image"]) -> "Image":
    """At most eight of the frames, evenly spread, side by side."""
    from PIL import Image

    some = list(frames)[:: max(1, len(frames) // 8)]
    whole = Image.new("RGB", (sum(frame.width for frame in some), some[0].height))
    for place, frame in enumerate(some):
        whole.paste(frame, (place * frame.width, 0))
    return whole
