"""What to do about a file or a folder that is missing."""

import os
from pathlib import Path

__all__ = ["nearby", "similar_folder"]


def nearby(path: Path) -> str:
    """A hint: the name in the same folder that is most like it, else where it was looked for.

    Example:
        >>> nearby(Path("no-such-folder/model.toml"))
        'there is no folder no-such-folder either'
    """
    import difflib

    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    close = difflib.get_close_matches(path.name, os.listdir(folder), n=1)
    return f"did you mean {folder / close[0]}?" if close else f"it was looked for in {folder.resolve()}"


def similar_folder(path: Path, holding: str) -> Path | None:
    """The folder beside a missing one that has the most similar name and holds a file; None where none does.

    Example:
        >>> similar_folder(Path("no-such-folder/modle"), "model.json") is None
        True
    """
    import difflib

    parent = path.parent
    try:
        names = [each.name for each in os.scandir(parent) if each.is_dir()]
    except OSError:
        return None
    close = difflib.get_close_matches(path.name, names, n=3)
    return next((parent / name for name in close if (parent / name / holding).is_file()), None)
