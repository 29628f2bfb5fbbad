"""IDX files, the format of MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from genmod import DataError

__all__ = ["read_idx"]


def read_idx(path: Path, shape: tuple[int, ...], *, crc32: int | None = None) -> Tensor:
    """Read bytes from an IDX file, plain or gzipped whatever its name is.

    Nothing beyond the expected size is ever decompressed.

    Args:
        path: the file.
        shape: the only shape that is accepted.
        crc32: checksum of the decompressed file.

    Returns:
        Tensor: ``shape``, ``uint8``.

    Raises:
        DataError: the file is unreadable, not IDX, truncated, too long, of another shape or content.
    """
    header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    size = len(header) + math.prod(shape)
    try:
        content = _read(path, size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {error}", hint="put an intact copy there, or move this one away"
        ) from error
    problem = _problem(content, header, shape, size, crc32)
    if problem:
        raise DataError(
            f"{path} {problem}", hint="put an intact copy of the right file there, or move this one away"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(header)).reshape(shape)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return file.read(limit)
        with gzip.GzipFile(fileobj=file) as unzipped:
            return unzipped.read(limit)


def _problem(content: bytes, header: bytes, shape: tuple[int, ...], size: int, crc32: int | None) -> str:
    if content[:4] != header[:4]:
        return f"starts with the bytes {content[:4].hex(' ')}; its magic number is {header[:4].hex(' ')}"
    if content[: len(header)] != header:
        found = [int.from_bytes(content[i : i + 4], "big") for i in range(4, len(header), 4)]
        return f"declares the shape {tuple(found)}; {shape} is expected"
    if len(content) < size:
        return f"is truncated: {len(content):,} of {size:,} bytes"
    if len(content) > size:
        return f"goes on after its {size:,} bytes"
    if crc32 is not None and zlib.crc32(content) != crc32:
        return f"has other content than expected: CRC-32 {zlib.crc32(content):08x}, not {crc32:08x}"
    return ""
