"""Where the bytes of a picture are: a file, or a part of an archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import IO, Any, final

from genmod import DataError

__all__ = ["Member", "Source", "stream_of"]


@dataclass(frozen=True, slots=True)
class Member:
    """A file within an uncompressed archive, which is read from where it is.

    Args:
        archive: the archive.
        name: of the file in it, for messages.
        offset: of its first byte in the archive.
        size: in bytes.
    """

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read_bytes(self) -> bytes:
        """Its content.

        Raises:
            DataError: the archive cannot be read, or is shorter than it was.
        """
        try:
            # Opened anew each time: workers that share an open file would share the place in it.
            with self.archive.open("rb", buffering=0) as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise DataError(f"{self.archive} cannot be read: {error.strerror or error}") from error
        if len(content) < self.size:
            raise DataError(f"{self.archive} ends within {self.name}", hint="restore it from a copy")
        return content


Source = Path | Member
"""A picture: a file, or a member of an archive; both have ``read_bytes``, and a text for messages."""


@contextmanager
def stream_of(source: Source) -> Iterator[IO[bytes]]:
    """What Pillow opens: a file, or a part of one, of which only what it asks for is read.

    It is not given the path: it would map some files into memory, and read turned ones of these as if they were not turned.
    """
    if not isinstance(source, Member):
        with source.open("rb") as stream:
            yield stream
        return
    with FileIO(source.archive) as file, BufferedReader(_Window(file, source)) as part:
        yield part


@final
class _Window(RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: FileIO, member: Member) -> None:
        self._file, self._member, self._place = file, member, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._place = offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._member.size}[whence]
        if self._place < 0:
            raise ValueError(f"place {self._place} is before the beginning")
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)[: max(0, self._member.size - self._place)]
        self._file.seek(self._member.offset + self._place)
        count = self._file.readinto(view)
        self._place += count
        return count
