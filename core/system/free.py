"""A name that nothing has yet."""

from pathlib import Path

__all__ = ["free"]


def free(path: Path, suffix: str = "") -> Path:
    """The path, or the first of ``NAME-2``, ``NAME-3``, … that does not exist.

    Args:
        path: of a file or folder, without its suffix.
        suffix: of a file.

    Example:
        >>> str(free(Path("no-such-page"), ".html"))
        'no-such-page.html'
    """
    number, place = 1, path.with_name(f"{path.name}{suffix}")
    while place.exists() or place.is_symlink():
        number += 1
        place = path.with_name(f"{path.name}-{number}{suffix}")
    return place
