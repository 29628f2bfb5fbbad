"""What to do about a file that is missing."""

import os
from pathlib import Path

__all__ = ["nearby"]


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
