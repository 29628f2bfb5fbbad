"""The files of a model that go to the Hub and are taken from it; no others are, whatever else lies beside them."""

from collections.abc import Mapping
from pathlib import Path

from genmod.bundle.directory import CARD, CONFIG, ModelDirectory
from genmod.bundle.sampler import sampler_files
from genmod.errors import FileError

__all__ = ["PICTURES", "allowed", "check_sizes", "files_in"]

PICTURES = ("samples", "reconstructions")
_MOST_TEXT, _MOST_PICTURE = 1_000_000, 20_000_000
_MOST_TENSORS = 2**37
"""A model has at most so many bytes of weights; what its description says they take is checked beside it."""


def allowed(folder: Path) -> Mapping[str, int]:
    """Path of each file that may be there, seen from the folder → its largest size in bytes.

    Not among them are the record of the run, which has command lines and paths, rows of metrics, checkpoints, the last weights,
    and any file that genmod did not make.

    Example:
        >>> sorted(allowed(Path("no-such-folder")))[:3]
        ['README.md', 'config.json', 'model.json']
    """
    place = ModelDirectory(folder)
    described, state = sampler_files(folder)
    limits = {
        folder / CARD: _MOST_TEXT,
        folder / CONFIG: _MOST_TEXT,
        place.description: 4 * _MOST_TEXT,
        place.weights(): _MOST_TENSORS,
        described: _MOST_TEXT,
        state: _MOST_TENSORS,
        **{place.pictures(f"{name}.png"): _MOST_PICTURE for name in PICTURES},
    }
    return {path.relative_to(folder).as_posix(): limit for path, limit in limits.items()}


def files_in(folder: Path) -> dict[str, int]:
    """The allowed files that are in a folder, with their sizes."""
    return {
        name: (folder / name).stat().st_size for name in sorted(allowed(folder)) if (folder / name).is_file()
    }


def check_sizes(found: Mapping[str, int], folder: Path, where: str) -> None:
    """Refuse files that are larger than any model's are, before they are read or fetched.

    Args:
        found: sizes in bytes by path.
        folder: that they are for.
        where: they are, for messages.

    Raises:
        FileError: one is too large.
    """
    for name, most in allowed(folder).items():
        if found.get(name, 0) > most:
            raise FileError(f"{name} of {where} has {found[name]:,} bytes; at most {most:,} are allowed")
