"""How a picture of any size becomes one of the size that is asked for: covered and cut evenly, or a part of it."""

from dataclasses import dataclass

from PIL import Image, ImageOps

__all__ = ["Crop", "framed"]


@dataclass(frozen=True)
class Crop:
    """A part of a picture in its own resolution, or in that of ``scale``.

    Args:
        scale: pixels that the shorter side is scaled to before; None for its own.
        down: where the part begins, from 0, at the top, to below 1, as low as it can.
        right: the same from left to right.
    """

    scale: int | None = None
    down: float = 0.5
    right: float = 0.5

    def __call__(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """The part ``size`` (height and width) of a picture; one that is smaller is scaled up until it covers it."""
        height, width = size
        factor = 1.0 if self.scale is None else self.scale / min(image.size)
        factor = max(factor, height / image.height, width / image.width)
        if factor == 1:
            first, begin = (
                int(self.down * (image.height - height + 1)),
                int(self.right * (image.width - width + 1)),
            )
            return image.crop((begin, first, begin + width, first + height))
        # Only the part is scaled: the whole of a long strip, scaled up until it is wide enough, might fill all memory.
        tall, wide = min(height / factor, image.height), min(width / factor, image.width)
        top, left = self.down * (image.height - tall), self.right * (image.width - wide)
        box = (left, top, min(left + wide, image.width), min(top + tall, image.height))
        return image.resize((width, height), Image.Resampling.BICUBIC, box)


def framed(image: Image.Image, size: tuple[int, int], crop: Crop | None) -> Image.Image:
    """A picture of ``size`` (height and width): scaled to cover it and cut evenly at the edges, or the part that ``crop`` says.

    Example:
        >>> framed(Image.new("L", (90, 60)), (20, 30), None).size, framed(Image.new("L", (90, 60)), (20, 30), Crop()).size
        ((30, 20), (30, 20))
    """
    if crop is None:
        return ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
    return crop(image, size)
