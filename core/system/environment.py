"""What a result depends on beside its settings: versions, machine, state of the sources."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["environment", "git_state", "versions"]


def versions(*more: str) -> dict[str, str]:
    """Installed versions of what computes, and of ``more`` distributions; from metadata, so nothing is imported."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys(("genmod-torch", "torch", "torchvision", "numpy", "safetensors", *more)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """Commit of the current folder and whether it was changed since, or None outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


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
