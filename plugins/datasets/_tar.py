"""The files in a tar archive, by its headers alone: nothing is extracted, and an archive may be anybody's.

Reference:
    | pax, in The Open Group Base Specifications, Issue 8 (IEEE and The Open Group, 2024)
    | https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
"""

import re
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from shlex import quote

from genmod import DataError
from genmod.plugins.datasets._sources import Member

__all__ = ["members_of"]

_BLOCK = 512
_MAX_EXTRA = 2**20
"""Bytes of a long name or of other additions to a header."""
_MAX_MEMBERS = 10_000_000
_COMPRESSED = {
    b"\x1f\x8b": ("gunzip", ".gz", ".tgz"),
    b"BZh": ("bunzip2", ".bz2", ".tbz2"),
    b"\xfd7zXZ": ("unxz", ".xz", ".txz"),
    b"\x28\xb5\x2f\xfd": ("unzstd --rm", ".zst", ".tzst"),
    b"\x04\x22\x4d\x18": ("unlz4 --rm", ".lz4"),
}
"""How a compressed file begins → what decompresses it, and endings of names, without which that refuses."""
_REFUSED = {
    b"1": "a link",
    b"2": "a link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a file with holes",
}
_REPACK = "pack plain files alone: tar cf ARCHIVE.tar --dereference --hard-dereference FOLDER"


def members_of(path: Path) -> Iterator[Member]:
    """The regular files in an uncompressed archive, in their order; formats are ustar, GNU and pax.

    Raises:
        DataError: it is no such archive, is compressed, damaged or cut short, or has links, devices or more than 10 million
            members.
    """
    try:
        with FileIO(path) as file:
            yield from _members(path, file)
    except DataError:  # which is a ValueError, too
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}", hint=_REPACK) from error


def _members(path: Path, file: FileIO) -> Iterator[Member]:
    start, end = file.read(6), file.seek(0, 2)
    for magic, (command, *endings) in _COMPRESSED.items():
        if start.startswith(magic):
            ended = path.suffix.lower() in endings
            packed = quote(f"{path}{'' if ended else endings[0]}")
            rename = "" if ended else f"mv {quote(str(path))} {packed} && "
            raise DataError(
                f"{path} is compressed, so that its pictures cannot be read one by one",
                hint=f"decompress it, since pictures are compressed already: {rename}{command} {packed}",
            )
    place, count, name, size = 0, 0, "", -1  # the last two are those of an addition to the next header
    while place < end:
        file.seek(place)
        block = file.read(_BLOCK)
        if not block.strip(b"\0"):
            return
        if len(block) < _BLOCK or not _is_header(block):
            where = f"is damaged at byte {place:,}" if place else "is no tar archive"
            raise DataError(f"{path} {where}", hint="restore it from a copy")
        kind, long = block[156:157], _number(block[124:136])
        count += 1
        if count > _MAX_MEMBERS:
            raise DataError(f"{path} has more than {_MAX_MEMBERS:,} members", hint="split it into several")
        if kind in (b"x", b"g", b"L", b"K", b"X"):
            if long > _MAX_EXTRA:
                raise ValueError(f"a name of {long:,} bytes at byte {place:,}")
            extra = file.read(long)
            if len(extra) < long:
                raise DataError(f"{path} ends within a name", hint="restore it from a copy")
            if kind == b"L":
                name = _text(extra)
            elif kind in (b"x", b"X"):
                name, size = _pax(extra, name, size)
            elif kind == b"g" and {"path", "size"} & set(_records(extra)):
                raise ValueError("one name or size for all members")
        else:
            name, long = name or _name(block), long if size < 0 else size
            if kind in _REFUSED or kind not in (b"0", b"\0", b"5", b"7"):
                what = _REFUSED.get(kind, f"of the unknown kind {kind!r}")
                raise DataError(f"{path} has the member {name}, which is {what}", hint=_REPACK)
            if kind == b"5" or (kind == b"\0" and name.endswith("/")):
                long = 0
            elif place + _BLOCK + long > end:
                raise DataError(f"{path} ends within {name}", hint="restore it from a copy")
            else:
                yield Member(path, name, place + _BLOCK, long)
            name, size = "", -1
        place += _BLOCK + -(-long // _BLOCK) * _BLOCK


def _is_header(block: bytes) -> bool:
    """Whether the sum of the bytes is the one that is written; old programs took them to be signed."""
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    try:
        return _number(block[148:156]) in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest))
    except ValueError:
        return False


def _number(field: bytes) -> int:
    """A number in octal digits, or in binary after a first byte of 128."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    if not all(digit in b"01234567" for digit in digits):
        raise ValueError(f"{field!r} is no size")
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _name(block: bytes) -> str:
    name, prefix = _text(block[:100]), _text(block[345:500])
    # Programs of GNU keep other things where the prefix would be.
    return f"{prefix}/{name}" if prefix and block[257:263] == b"ustar\0" else name


def _pax(extra: bytes, name: str, size: int) -> tuple[str, int]:
    records = _records(extra)
    if any(key.startswith("GNU.sparse") for key in records):
        raise ValueError("it has files with holes")
    given = records.get("size", "")
    if given and not re.fullmatch("[0-9]{1,19}", given):
        raise ValueError(f"{given!r:.40} is no size")
    return records.get("path", name), int(given) if given else size


def _records(extra: bytes) -> dict[str, str]:
    """Additions to a header: ``LENGTH KEY=VALUE`` and a newline each, the length that of all of it."""
    found, place = {}, 0
    while place < len(extra):
        digits = extra[place : place + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        record = extra[place + len(digits) + 1 : place + length]
        if not record.endswith(b"\n") or b"=" not in record or place + length > len(extra):
            raise ValueError("additions to a header are damaged")
        key, _, value = record[:-1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        place += length
    return found
