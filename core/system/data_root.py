"""The folder of data files, and whether anything may be downloaded into it."""

import os
from pathlib import Path

__all__ = ["default_root", "offline"]


def default_root(explicit: Path | None = None) -> Path:
    """Where data files are: the folder given, else ``$GENMOD_DATA``, else ``~/.cache/genmod``.

    Example:
        >>> default_root(Path("data")).name
        'data'
    """
    if explicit is not None:
        return Path(explicit).expanduser()
    if os.environ.get("GENMOD_DATA"):
        return Path(os.environ["GENMOD_DATA"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genmod"


def offline() -> bool:
    """Whether nothing may be downloaded: ``GENMOD_OFFLINE`` is set, as by ``genmod --offline``."""
    return os.environ.get("GENMOD_OFFLINE", "0").strip().lower() not in ("", "0", "false", "no", "off")
