"""Pictures in tar archives of the layout of WebDataset."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from genmod import DataError
from genmod.plugins.datasets._listing import Listing
from genmod.plugins.datasets._picture_dataset import PictureDataset
from genmod.plugins.datasets._tar_listing import TarListing

__all__ = ["WebDataset"]

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4")


@final
class WebDataset(PictureDataset):
    """Pictures in uncompressed tar archives, read where they are: ``KEY.jpg``, and ``KEY.cls`` or ``KEY.json`` with its class.

    ``path`` is an archive, or a folder whose files ``*.tar`` are taken together. A key is the name of a member up to the first
    point after its last ``/``. Each has one picture, of a format of ``image-folder``; other members are passed over. Its class
    is the whole number or short text in ``KEY.cls``, or under ``label`` or ``cls`` in ``KEY.json``; where any picture of a
    split has none, there are no classes. Whole numbers are ordered as such.

    Folders ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` with archives are the splits. Without them the hashes
    of the keys decide, as those of the paths do in ``image-folder``, so that it does not matter in which archive a picture is.
    Sizes, crops, depths and splits are those of ``image-folder``.

    Only the headers of an archive are read to find its members, and kept for the next start like those of folders. Nothing is
    extracted. Compressed archives, links, devices and members of more than 256 MiB are refused.

    Raises:
        DataError: no archive, no pictures, a damaged archive, or as ``image-folder``.
        UsageError: as ``image-folder``.

    Example:
        >>> import tarfile, tempfile
        >>> from io import BytesIO
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> with tarfile.open(folder / "some.tar", "w") as archive:
        ...     for i in range(20):
        ...         content = BytesIO()
        ...         Image.new("RGB", (9, 6), (i, 0, 0)).save(content, "PNG")
        ...         member = tarfile.TarInfo(f"{i:02}.png")
        ...         member.size = content.tell()
        ...         archive.addfile(member, BytesIO(content.getvalue()))
        >>> data = WebDataset(folder, path=folder / "some.tar")
        >>> data.info.shape, data.everything().names[3], data.everything().__getitems__([3]).x[0, 0, 0, 0]
        ((3, 6, 9), '03.png', tensor(3, dtype=torch.uint8))
    """

    check_cases: ClassVar = {"old_options": [(1, {"path": "some.tar", "size": 32})]}

    @staticmethod
    def migrate(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
        """Models of revision 1 were trained on JPEGs that were decoded whole."""
        return {**options, "decode": "whole"}

    def listings(self, place: Path) -> list[Listing]:
        found = [place]
        if place.is_dir():
            try:
                found = sorted(each for each in place.iterdir() if not each.name.startswith("."))
            except OSError as error:
                raise DataError(
                    f"{place} cannot be read: {error.strerror or error}", hint="allow it: chmod u+rx FOLDER"
                ) from error
            packed = [each for each in found if each.name.lower().endswith(_COMPRESSED)]
            if packed:
                raise DataError(
                    f"{packed[0]} is compressed, so that its pictures cannot be read one by one",
                    hint="decompress it, since pictures are compressed already, and remove the compressed file",
                )
            found = [each for each in found if each.suffix.lower() == ".tar" and each.is_file()]
        listings = [TarListing(each) for each in found]
        if not all(label for listing in listings for label in listing.labels):
            for listing in listings:
                listing.labels = [""] * len(listing)
        return list(listings)

    def nothing(self, place: Path) -> DataError:
        return DataError(
            f"{place} has no pictures in files *.tar",
            hint="name an archive with members KEY.jpg or KEY.png, or a folder of them: -s dataset.path=PATH",
        )

    def in_order(self, classes: set[str]) -> Sequence[str]:
        numbers = all(re.fullmatch("-?[0-9]{1,18}", each) for each in classes)
        return sorted(classes, key=int) if numbers else sorted(classes)
