"""Pictures in a folder."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar, final

from genmod import DataError
from genmod.plugins.datasets._folder import SUFFIXES, FileListing, FolderListing
from genmod.plugins.datasets._listing import Listing
from genmod.plugins.datasets._picture_dataset import PictureDataset

__all__ = ["ImageFolder"]


@final
class ImageFolder(PictureDataset):
    """Pictures in a folder and its subfolders, or a single one: BMP, GIF, JPEG, PNG, PNM, TIFF and WebP.

    Folders named ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` are the splits. Without them a tenth of the
    pictures is for validation, one for testing and the rest for training, at least one each of three or more pictures: in
    the order of a hash of each picture's path within the folder, the first are for validation and the last for testing. A
    picture that is added later moves at most one other into or out of validation, and one into or out of testing. A split
    whose folder alone is missing gets its tenth of ``train`` in the same way. With ``splits=hash``, as in models of
    revision 1, each picture's hash alone decides, so that no other ever moves, and small folders may have none for
    validation or testing. Where every picture of a split lies in a subfolder, the first subfolder's name is its class.

    With a ``size`` pictures are scaled until they cover it and cut evenly at the edges. With a ``crop`` examples are parts of
    that size, in the picture's own resolution or in that in which ``scale`` is its shorter side: a part at random at each step
    of training, which depends on seed, step and picture alone, and else the middle; a picture that is smaller is scaled up
    until it covers the crop. Without either they must all be of one size. Random flips are ``--augment
    random-horizontal-flip``. Orientation tags are obeyed, transparent parts shown on white unless there are four
    channels, and of an animation the first picture is taken. Hidden files are passed over, links are followed.

    Pictures of 8 bits or less have 256 levels in [0, 1]. Deeper ones, grey or colour, keep their values: from 0 to ``white``,
    which is the least of 255, 511, 1023, … that no picture exceeds unless it is given, and stands for 1. Where only some are
    deeper, all are read so, those of 8 bits as bright as they are, and a warning says it. Floating-point
    ones are continuous, in [0, 1] where all values are, or divided by ``white``, else unbounded. ``depth=8``, as in models of
    revision 1, reduces whole numbers of 16 bits to 8. Pictures in CMYK and the like are refused.

    JPEGs of three times the size that is asked for, and more, are decoded in a half, a quarter or an eighth of their own size,
    in a third of the time, and scaled down from there; ``decode=whole``, as in models of revisions 1 and 2, decodes all pixels.

    Up to 20,000 pictures and 1 GiB of pixels are read at once, more batch by batch. Names and headers of 1,000 or more
    pictures, and the pixels of 64 or more, except random parts, are kept for the next start, in
    ``~/.cache/genmod/listings`` or the folder ``GENMOD_CACHE``; not if that is 0, or with ``--no-cache``. Of pixels at most
    20 GiB are kept, or ``GENMOD_CACHE_SIZE`` GiB. What has changed since is read anew. Pixels for training that cannot be kept
    so are held in memory, where they fit in 1 GiB.

    Raises:
        DataError: no folder, no pictures, pictures of unequal size, unreadable ones, or ones of more than
            67 million pixels.
        UsageError: size and crop together, or a scale that is less than the crop, or without one.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i in range(50):
        ...         Image.new("RGB", (90, 60)).save(Path(folder, f"{i}.png"))
        ...     data = ImageFolder(Path("data"), path=Path(folder), size=32, channels=1)
        ...     data.info.shape, data.split("train").__getitems__([0, 1]).x.shape
        ((1, 32, 32), torch.Size([2, 1, 32, 32]))
    """

    check_cases: ClassVar = {
        "old_options": [
            (1, {"path": "pictures", "size": 32, "channels": 1}),
            (2, {"path": "pictures", "size": 32, "depth": "8"}),
        ]
    }

    @staticmethod
    def migrate(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
        """Models of revision 1 were trained on 8 bits, and on splits by hash alone; those of 2 on whole JPEGs."""
        before = {"depth": "8", "splits": "hash"} if revision == 1 else {}
        return {**options, **before, "decode": "whole"}

    def listings(self, place: Path) -> list[Listing]:
        one = place.name.lower().endswith(SUFFIXES) and place.is_file()
        return [FileListing(place) if one else FolderListing(place)]

    def nothing(self, place: Path) -> DataError:
        hint = "give another folder: -s dataset.path=FOLDER"
        if any(any(place.glob(pattern)) for pattern in ("*.tar", "train/*.tar")):
            hint = f"there are archives: --data webdataset -s dataset.path={quote(str(place))}"
        return DataError(f"{place} has no pictures; names end in {', '.join(SUFFIXES)}", hint=hint)
