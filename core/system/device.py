"""Choice of the device."""

import torch

from genmod.errors import UsageError

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        UsageError: this machine has no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{name!r} is not a device", hint="one of: auto, cpu, cuda, cuda:N, mps") from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        have = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *["mps"] * there["mps"]]
        raise UsageError(f"this machine has no device {name!r}", hint=f"there are: {', '.join(have)}")
    return device
