"""The pictures in a tar archive of the layout of WebDataset, listed once."""

import json
import re
import time
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod import DataError
from genmod.data import mixed_text
from genmod.plugins.datasets._cache import cache_file, is_settled, joined, kept, parted, read_kept
from genmod.plugins.datasets._folder import SUFFIXES
from genmod.plugins.datasets._listing import Listing, stamp_of
from genmod.plugins.datasets._sources import Member
from genmod.plugins.datasets._tar import members_of

__all__ = ["TarListing"]

_PICTURES = frozenset(suffix[1:] for suffix in SUFFIXES)
_MAX_PICTURE = 2**28
_MAX_LABEL = 2**20
_MAX_CLASS = 200
_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_TYPES = {
    "names": (np.uint8, 1),
    "labels": (np.uint8, 1),
    "hashes": (np.int64, 1),
    "spans": (np.int64, 2),
    "stamp": (np.int64, 1),
}


class TarListing(Listing):
    """Pictures in an uncompressed archive, in its order; their classes are in members of the same key.

    Args:
        place: the archive.

    Raises:
        DataError: it is no such archive, has two pictures of one key, one of more than 256 MiB, or a label that is no class.
    """

    def __init__(self, place: Path) -> None:
        self._begun = time.time_ns()
        try:
            status = place.stat()
        except OSError as error:
            raise DataError(f"{place} cannot be read: {error.strerror}") from error
        if not S_ISREG(status.st_mode):  # of a pipe the opening alone would wait for ever
            raise DataError(f"{place} is no regular file", hint="name an uncompressed archive: FILE.tar")
        self._stamp = np.array(stamp_of(status), np.int64)
        names, labels, hashes, self._spans = self._known(place) or self._scanned(place)
        super().__init__(place, names, labels, hashes)

    def source(self, row: int) -> Member:
        return Member(self.place, self.names[row], *self._spans[row].tolist())

    def stamps(self) -> NDArray[np.int64]:
        times = np.broadcast_to(self._stamp[1:], (len(self), 2))
        return np.concatenate([self._spans[:, 1:], times], 1)

    @cached_property
    def stamped(self) -> tuple[NDArray[np.int64], int]:
        return self.stamps(), self._begun

    def _known(self, place: Path) -> Any:
        """What was found the last time, if the archive has not changed since."""
        found = read_kept(cache_file("tar", place), _TYPES)
        if found is None or not np.array_equal(found["stamp"], self._stamp):
            return None
        spans, hashes = found["spans"], found["hashes"]
        names, labels = parted(found["names"]), parted(found["labels"])
        inside = spans.shape == (len(names), 2) and bool(
            (spans >= 0).all()
            and (spans[:, 1] <= _MAX_PICTURE).all()
            and (spans[:, 0] <= self._stamp[0] - spans[:, 1]).all()
        )
        same = len(names) == len(labels) == len(hashes)
        return (names, labels, hashes.view(np.uint64), spans) if inside and same else None

    def _scanned(self, place: Path) -> Any:
        pictures: dict[str, Member] = {}
        labels: dict[str, str] = {}
        for member in members_of(place):
            matched = _KEY.fullmatch(member.name)
            if matched is None or "\0" in member.name:
                continue
            key, ending = matched[1], matched[2].lower()
            if ending in _PICTURES:
                if key in pictures:
                    raise DataError(
                        f"{place} has two pictures of the key {key}: {pictures[key].name} and {member.name}",
                        hint="give each picture a key of its own, or one of them another ending",
                    )
                if member.size > _MAX_PICTURE:
                    raise DataError(
                        f"{member} has {member.size:,} bytes; a picture has at most {_MAX_PICTURE:,}",
                        hint="leave it out, or scale it down",
                    )
                pictures[key] = member
            elif ending in ("cls", "json") and (ending == "cls" or key not in labels):
                label = _label(member, ending)
                if label:
                    labels[key] = label
        names = [member.name for member in pictures.values()]
        classes = [labels.get(key, "") for key in pictures]
        hashes = np.fromiter(map(mixed_text, pictures), np.uint64, len(pictures))
        spans = np.array([(m.offset, m.size) for m in pictures.values()], np.int64).reshape(-1, 2)
        if is_settled(self._stamp[1:2], self._begun):
            arrays = (joined(names), joined(classes), hashes.view(np.int64), spans, self._stamp)
            kept(cache_file("tar", place, len(names)), dict(zip(_TYPES, arrays, strict=True)))
        return names, classes, hashes, spans


def _label(member: Member, ending: str) -> str:
    """The class that a member names: a whole number or a short text, in JSON under ``label`` or ``cls``; else none."""
    if member.size > _MAX_LABEL:
        raise DataError(
            f"{member} has {member.size:,} bytes; a label has at most {_MAX_LABEL:,}",
            hint="leave out what is no label, or give it another ending",
        )
    content = member.read_bytes()
    try:
        found: Any = content.decode().strip()
        if ending == "json":
            read = json.loads(found)
            found = read.get("label", read.get("cls")) if isinstance(read, dict) else None
            if found is None:
                return ""
        if isinstance(found, bool | float | list | dict):
            raise ValueError(f"{found!r:.40} is neither a whole number nor a text")
        text = str(int(found)) if re.fullmatch(r"-?[0-9]{1,18}", str(found)) else str(found)
        if not text or len(text) > _MAX_CLASS or not text.isprintable():
            raise ValueError(
                f"a text of {len(text):,} characters; 1 to {_MAX_CLASS} are allowed, which can be printed"
            )
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{member} names no class: {error}",
            hint="write the number or the name of a class, and nothing else",
        ) from error
    return text
