"""What belongs to this user alone, on machines with several."""

import os
import stat
from pathlib import Path

__all__ = ["is_mine", "private_folder"]


def is_mine(status: os.stat_result) -> bool:
    """Whether a file belongs to this user, so that nobody else has decided what is in it; true where files have no owners."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def private_folder(path: Path) -> Path | None:
    """A folder into which nobody else can put anything, such as what is to be executed; made where it is missing.

    None where others can: it is a link or another user's, or others may write there, or may give its name, or that of a folder
    above it, to another folder. A folder of others in which all may write, but remove nothing, such as ``/tmp``, will do.

    Args:
        path: of the folder.
    """
    try:
        path.mkdir(0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or not is_mine(status) or _others_write(status):
            return None
        above = [each.stat() for each in path.resolve().parents]
    except OSError:
        return None
    kept = all(not _others_write(each) or each.st_mode & stat.S_ISVTX for each in above)
    return path if kept and all(is_mine(each) or each.st_uid == 0 for each in above) else None


def _others_write(status: os.stat_result) -> bool:
    """Whether others may make files in a folder; a group that is the user's first one is often of that user alone."""
    if not hasattr(os, "getegid"):
        return False
    shared = status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid()
    return bool(shared or status.st_mode & stat.S_IWOTH)
