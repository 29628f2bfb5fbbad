"""Choice of the device."""

import math

import torch
from torch import Tensor

from genmod.errors import UsageError

__all__ = ["free_memory", "pick_device", "sent"]


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


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a GPU, those that torch holds for later tensors included; infinite of other devices.

    Example:
        >>> free_memory(torch.device("cpu"))
        inf
    """
    if device.type != "cuda":
        return math.inf
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(torch.cuda.mem_get_info(device)[0] + held)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for it to arrive; what uses it there does.

    Example:
        >>> sent(torch.ones(2), torch.device("cpu"))
        tensor([1., 1.])
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type != "cpu")
