"""The environment of a result: versions, machine, and commit of the sources."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from genmod.errors import GenmodError
from genmod.system.files import read_text
from genmod.system.installed import installed, version_of

__all__ = ["environment", "git_state", "versions"]

_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_LINKS = 5
"""Longest chain of symbolic references, as in git."""
_MAX_REFS = 10_000_000


def versions(*more: str) -> dict[str, str]:
    """Installed versions of Python, genmod, its dependencies and ``more`` distributions; from metadata, without imports."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys(("genmod-torch", "torch", "torchvision", "numpy", "safetensors", *more)):
        if name and (version := version_of(installed(name))):
            found[name] = version
    return found


def git_state() -> dict[str, Any] | None:
    """Commit of the repository of the current folder; None outside of a repository or before its first commit.

    It is read from files. Git itself can run programs that a repository configures, and the repository may not be
    trusted. So it is unknown whether files have changed since that commit.
    """
    try:
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / ".git").exists():
                commit = _commit(_git_folder(folder / ".git"))
                return {"commit": commit} if commit else None
    except (OSError, GenmodError):
        pass
    return None


def _git_folder(path: Path) -> Path:
    """The folder of HEAD: ``.git`` itself, or the one that the file ``.git`` of a worktree or submodule names."""
    if path.is_dir():
        return path
    text = read_text(path, "name of a repository").strip()
    return path.parent / text.removeprefix("gitdir:").strip()


def _commit(git: Path) -> str | None:
    shared = git  # shared by all worktrees
    if (git / "commondir").exists():
        shared = git / read_text(git / "commondir", "name of a repository").strip()
    name = read_text(git / "HEAD", "reference").strip()
    for _ in range(_LINKS):
        if not name.startswith("ref:"):
            return name if _HASH.fullmatch(name) else None
        ref = name.removeprefix("ref:").strip()
        if not _REF.fullmatch(ref) or ".." in ref:
            return None
        place = next((each for each in (git / ref, shared / ref) if each.is_file()), None)
        if place is None:
            packed = read_text(shared / "packed-refs", "list of references", limit=_MAX_REFS)
            lines = (line.split(" ", 1) for line in packed.splitlines())
            name = next((line[0] for line in lines if line[1:] == [ref]), "")
        else:
            name = read_text(place, "reference").strip()
    return None


def _processor() -> str:
    """The model of the processor; linear-algebra libraries choose the order of sums, and so their rounding, by it."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def environment(device: str) -> dict[str, Any]:
    """The facts that can change the bits of a result."""
    import torch

    return {
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "processor": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
    }
