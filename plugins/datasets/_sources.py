"""Where the bytes of a picture are: a file, or a part of an archive."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

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


def stream_of(source: Source) -> Path | BytesIO:
    """What Pillow opens: the path of a file, or the content of a member."""
    return BytesIO(source.read_bytes()) if isinstance(source, Member) else source
