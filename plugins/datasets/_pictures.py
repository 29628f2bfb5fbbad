"""Reading one picture safely, from a file or from an archive."""

import math
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from genmod import DataError
from genmod.plugins.datasets._crop import Crop, framed
from genmod.plugins.datasets._sources import Source, stream_of

__all__ = ["brightest", "header_of", "read_picture", "size_of"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MAX_PIXELS = 2**26
_LARGE = 2**22
_CLOSE = 1.5
"""How many times the size that is asked for a JPEG is decoded in at least."""
_turn = Lock()
_MAX_WHITE = 2**24 - 1
"""Single precision represents no more whole numbers exactly."""
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112
_WIDTH = 0x0100
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_KNOWN = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "F")


@contextmanager
def _picture(source: Source) -> Iterator[ImageFile.ImageFile]:
    """A picture, opened; whatever fails inside is an error about its file.

    Raises:
        DataError: it is no picture, or one of more than 67 million pixels.
    """
    try:
        with stream_of(source) as stream, Image.open(stream, formats=_FORMATS) as image:
            _check_size(source, image)
            yield image
    except DataError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise _unreadable(source, error) from error


def size_of(source: Source) -> tuple[int, int]:
    """Height and width as shown, from the first bytes of the file.

    Raises:
        DataError: it is no picture, or one of more than 67 million pixels.
    """
    with _picture(source) as image:
        return _shown_size(image)


def header_of(source: Source) -> tuple[int, int, int]:
    """Height and width as shown, and the bits of each value that are kept: 8, 16 or 32; 0 of floating-point ones.

    Raises:
        DataError: it is no picture, one of more than 67 million pixels, or in colours that are not supported, such as CMYK.
    """
    with _picture(source) as image:
        _check_colours(source, image)
        deep = 32 if image.mode == "I" and "16" not in str(image.tile) else 16
        return *_shown_size(image), 0 if image.mode == "F" else deep if _is_deep(image) else 8


def _shown_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Some versions of Pillow give these the size as shown.
        width, height = image.tag_v2[_WIDTH], image.tag_v2[_WIDTH + 1]
    # The getexif of PNG images would decode all pixels to look for a tag behind them.
    turned = Image.Image.getexif(image).get(_ORIENTATION) in _TURNED
    return (width, height) if turned else (height, width)


def _turn_of(image: ImageFile.ImageFile) -> AbstractContextManager[Any]:
    """Large pictures are decoded one at a time, whatever the number of threads: a small file can take a gigabyte."""
    return _turn if image.width * image.height > _LARGE else nullcontext()


def _scale_down(image: ImageFile.ImageFile, channels: int, size: tuple[int, int], crop: Crop | None) -> None:
    """Let the decoder of a JPEG leave out pixels and colours that are not wanted."""
    if crop is not None and crop.scale is None:
        return
    shown = _shown_size(image)
    factor = max(size[0] / shown[0], size[1] / shown[1])
    if crop is not None and crop.scale is not None:
        factor = max(factor, crop.scale / min(shown))
    least = [max(1, math.ceil(_CLOSE * factor * side)) for side in image.size]
    image.draft("L" if channels == 1 else None, (least[0], least[1]))


def brightest(source: Source) -> float:
    """The largest value of a picture, as it is stored; 1 or less where floats lie in [0, 1], infinite where they do not.

    Raises:
        DataError: as :func:`read_picture`.
    """
    with _picture(source) as image, _turn_of(image):
        values, _, _ = _opened(source)
        if values.dtype.kind == "f":
            return float(values.max()) if values.min() >= 0 and values.max() <= 1 else math.inf
        return float(values.max())


def read_picture(
    source: Source,
    channels: int,
    size: tuple[int, int],
    white: float | None = None,
    crop: Crop | None = None,
    *,
    whole: bool = True,
) -> NDArray[Any]:
    """A picture, scaled to cover ``size`` and cut evenly at the edges, or a part of it.

    Args:
        source: the file, or the member of an archive.
        channels: 1 grey, 3 colour, 4 colour and opacity.
        size: height and width.
        white: the value of white in the result; None for 8 bits, to which deeper pictures are reduced.
        crop: which part of it, None for nearly all.
        whole: whether JPEGs are decoded in their own size, and then scaled. Else their decoder gives them in a half, a quarter
            or an eighth of it where that is at least 1.5 times what is asked for: in a third of the time, and differing by
            less than one level of 256 in the mean of photographs, by more along sharp edges.

    Returns:
        Array: ``(height, width, channels)``, ``uint8`` without ``white``; else whole numbers from 0 to ``white`` as ``int32``,
        or what floats are of it as ``float32``.

    Raises:
        DataError: it cannot be read, is brighter than ``white``, or has more than 67 million pixels.
    """
    with _picture(source) as image, _turn_of(image):
        return _fitted(source, image, channels, size, white, crop, whole=whole)


def _fitted(
    source: Source,
    image: ImageFile.ImageFile,
    channels: int,
    size: tuple[int, int],
    white: float | None,
    crop: Crop | None,
    *,
    whole: bool,
) -> NDArray[Any]:
    if white is not None:
        _check_colours(source, image)
    if white is None or (white < math.inf and not _is_deep(image) and image.mode != "F"):
        if not whole:
            _scale_down(image, channels, size, crop)
        fitted = framed(_converted(_shown(image), channels), size, crop)
        made = np.asarray(fitted, dtype=np.uint8).reshape(*size, channels)
        # So bright are pictures of 8 bits among deeper ones.
        return made if white in (None, 255) else np.rint(made * (white / 255)).astype(np.int32)
    values, full, turn = _opened(source)
    integers = values.dtype.kind != "f"
    if white is None or white == math.inf:
        white = 1.0
    top = float(values[..., :3].max() if values.shape[2] > 2 else values[..., 0].max())
    if top > white and (integers or white != 1.0):
        raise DataError(
            f"{source} has the value {top:g}, and white is {white:g}",
            hint="give the value of white, and build a model for these pictures: -s dataset.white=VALUE",
        )
    made = _with_channels(values.astype(np.float64), channels, white, full)
    turned = [_upright(Image.fromarray(made[..., i].astype(np.float32)), turn) for i in range(channels)]
    fitted_ = [framed(each, size, crop) for each in turned]
    low, high = made.min(), made.max()
    cut = np.stack([np.asarray(each, dtype=np.float64) for each in fitted_], 2).clip(low, high)
    return np.rint(cut).astype(np.int32) if integers else (cut / white).astype(np.float32)


def _shown(image: Image.Image) -> Image.Image:
    """A picture as it is shown; Pillow would copy those that are not turned, too."""
    image.load()
    turned = image.getexif().get(_ORIENTATION, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether there are more than 8 bits of each value, of which Pillow keeps 8 in colour pictures."""
    most = [tile[3][1] for tile in image.tile if image.format == "PPM" and isinstance(tile[3], tuple)]
    names = [_raw_mode(tile) for tile in image.tile]
    return image.mode.startswith("I") or any(";16" in name for name in names) or any(m > 255 for m in most)


def _opened(source: Source) -> tuple[NDArray[Any], float, int]:
    """All values ``(height, width, 1 grey, 2 with opacity, 3 colour or 4)``, what opaque is, and the orientation tag."""
    with _picture(source) as image:
        _check_colours(source, image)
        values, full = _values(source, image)
        if image.format == "TIFF":
            image.load()  # Pillow turns these itself, and takes the tag away
        turn = Image.Image.getexif(image).get(_ORIENTATION, 1)
    values = values.reshape(*values.shape[:2], -1)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError(f"{source} has values that are NaN or infinite", hint="delete it, or repair it")
    elif values.min() < 0 or values.max() > _MAX_WHITE:
        raise DataError(
            f"{source} has values from {values.min()} to {values.max()}; 0 to {_MAX_WHITE:,} are allowed",
            hint="save the picture in floats, or the pictures as arrays for --data npz",
        )
    return values, full, turn


def _values(source: Source, image: ImageFile.ImageFile) -> tuple[NDArray[Any], float]:
    if image.mode == "F":
        return np.asarray(image), 1.0
    if not _is_deep(image):
        alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
        grey = image.mode in ("1", "L", "LA", "La")
        return np.asarray(
            image.convert(("LA" if grey else "RGBA") if alpha else "L" if grey else "RGB")
        ), 255.0
    if image.format == "PPM":
        if image.tile[0][0] != "ppm":
            raise ValueError("deep pictures in plain text")
        shape = (image.height, image.width, len(image.getbands()))
        with stream_of(source) as stream:
            stream.seek(image.tile[0][2])
            content = stream.read(2 * math.prod(shape))
        return np.frombuffer(content, ">u2", math.prod(shape)).reshape(shape).astype(np.uint16), 65535.0
    if image.mode.startswith("I"):
        values = np.asarray(image)
        # Some are in the other order of bytes, which numpy would keep.
        return values.astype(values.dtype.newbyteorder("=")), 65535.0
    return _deep_colours(source, image), 65535.0


def _deep_colours(source: Source, image: ImageFile.ImageFile) -> NDArray[Any]:
    """Colours of 16 bits, of which Pillow gives one byte: the first of each, or the second for those who ask for it."""
    raw = _raw_mode(image.tile[0])
    kind, _, order = raw.partition(";16")
    if kind == "LA":
        both = _decoded(source, "RGBA")
        return both[..., ::2].astype(np.uint16) * 256 + both[..., 1::2]
    big = order == "B" or (order == "N" and sys.byteorder == "big")
    high, low = (
        _decoded(source, f"{kind};16{'B' if big else 'L'}"),
        _decoded(source, f"{kind};16{'L' if big else 'B'}"),
    )
    return high.astype(np.uint16) * 256 + low


def _decoded(source: Source, raw: str) -> NDArray[Any]:
    """The pixels of a picture, whose bytes are taken to be laid out in another way."""
    with stream_of(source) as stream, Image.open(stream, formats=_FORMATS) as image:
        image.tile = [
            (*tile[:3], (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw)  # type: ignore[misc]
            for tile in image.tile
        ]
        return np.asarray(image)


def _raw_mode(tile: Any) -> str:
    return str(tile[3][0] if isinstance(tile[3], tuple) else tile[3])


def _with_channels(values: NDArray[Any], channels: int, white: float, full: float) -> NDArray[Any]:
    """Grey or colour, shown on white unless opacity is kept: ``(height, width, 1 to 4) → (height, width, channels)``."""
    colours = values[..., :3] if values.shape[2] > 2 else values[..., :1]
    opacity = values[..., -1:] / full if values.shape[2] in (2, 4) else np.ones_like(values[..., :1])
    if channels < 4:
        colours = colours * opacity + white * (1 - opacity)
    if channels == 1 and colours.shape[2] == 3:
        colours = colours @ np.array([[0.299], [0.587], [0.114]])
    elif channels > 1:
        colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
    return np.concatenate([colours, white * opacity], 2) if channels == 4 else colours


def _upright(image: Image.Image, turn: int) -> Image.Image:
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(turn)
    return image if method is None else image.transpose(method)


def _check_colours(source: Source, image: Image.Image) -> None:
    if image.mode not in _KNOWN and not image.mode.startswith("I"):
        raise DataError(
            f"{source} is in {image.mode}; allowed are grey and RGB, with or without opacity",
            hint="convert it to RGB, with the colour profile that it was made for",
        )


def _check_size(source: Source, image: Image.Image) -> None:
    if image.width * image.height > _MAX_PIXELS:
        raise DataError(
            f"{source} has {image.height}×{image.width} pixels; at most {_MAX_PIXELS:,} are allowed",
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
    return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def _unreadable(source: Source, error: Exception) -> DataError:
    reason: object = error
    if isinstance(error, UnidentifiedImageError):
        reason = f"it is none of {', '.join(_FORMATS)}"
    elif isinstance(error, MemoryError):
        reason = "there is too little memory for its pixels"
    return DataError(
        f"{source} cannot be read as a picture: {reason}", hint="delete it, or convert it to PNG"
    )
