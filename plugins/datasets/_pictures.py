"""Reading one picture safely."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genmod import DataError

__all__ = ["SUFFIXES", "read_picture", "size_of"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MAX_PIXELS = 2**26
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def size_of(path: Path) -> tuple[int, int]:
    """Height and width as shown, from the first bytes of the file.

    Raises:
        DataError: it is no picture, or one of more than 67 million pixels.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_size(path, image)
            width, height = image.size
            # The getexif of PNG images would decode all pixels to look for a tag behind them.
            turned = Image.Image.getexif(image).get(_ORIENTATION) in _TURNED
            return (width, height) if turned else (height, width)
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def read_picture(path: Path, channels: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture, scaled to cover ``size`` and cut evenly at the edges.

    Args:
        path: the file.
        channels: 1 grey, 3 colour, 4 colour and opacity.
        size: height and width.

    Returns:
        Array: ``(height, width, channels)``.

    Raises:
        DataError: it cannot be read, has floating-point pixels, or more than 67 million of them.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_size(path, image)
            upright = ImageOps.exif_transpose(image)
            fitted = ImageOps.fit(_converted(upright, channels), (size[1], size[0]), Image.Resampling.BICUBIC)
            return np.asarray(fitted, dtype=np.uint8).reshape(*size, channels)
    except DataError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise _unreadable(path, error) from error


def _check_size(path: Path, image: Image.Image) -> None:
    if image.width * image.height > _MAX_PIXELS:
        raise DataError(
            f"{path} has {image.height}×{image.width} pixels; at most {_MAX_PIXELS:,} are allowed",
            hint="delete it, or scale it down",
        )


def _converted(image: Image.Image, channels: int) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; dataset npz takes them")
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 8 rather than scale them.
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"pixels from {deep.min()} to {deep.max()}; 0 to 65535 are allowed")
        image = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if channels < 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[channels])


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = f"it is none of {', '.join(_FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
    return DataError(f"{path} cannot be read as a picture: {reason}", hint="delete it, or convert it to PNG")
