"""What a result depends on beside its settings: versions, machine, state of the sources."""

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
"""As many names may stand for one another, as git has it."""
_MAX_REFS = 10_000_000


def versions(*more: str) -> dict[str, str]:
    """Installed versions of what computes, and of ``more`` distributions; from metadata, so nothing is imported."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys(("genmod-torch", "torch", "torchvision", "numpy", "safetensors", *more)):
        if name and (version := version_of(installed(name))):
            found[name] = version
    return found


def git_state() -> dict[str, Any] | None:
    """Commit of the repository that the current folder lies in, None outside of one or before the first commit.

    It is read from files. Git itself runs programs that a repository names, and a repository may be a stranger's;
    whether anything was changed since cannot be found without them.
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
    """Where HEAD is: beside the files, or where a worktree or a submodule says."""
    if path.is_dir():
        return path
    text = read_text(path, "name of a repository").strip()
    return path.parent / text.removeprefix("gitdir:").strip()


def _commit(git: Path) -> str | None:
    shared = git  # by all worktrees
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
    """Its model: libraries of linear algebra choose by it in which order they add, and so how sums are rounded."""
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
