"""The precision of a run: what is chosen for a device where the user leaves it open, and how products are rounded there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from genmod.interfaces.model import GenerativeModel
from genmod.training.settings import TrainSettings

__all__ = ["has_bf16", "network_dtype", "products", "rounding", "settled"]

_MOST_LEVELS = 256
"""Values that bf16 tells apart between a number and its double."""
_NAMES = {"highest": "float32", "high": "tf32", "medium": "bf16"}
"""What torch calls the precision of its products, and in which numbers it then multiplies."""


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies numbers of 16 bits in its circuits: GPUs of NVIDIA since Ampere.

    Example:
        >>> has_bf16(torch.device("cpu"))
        False
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def settled(settings: TrainSettings, model: GenerativeModel, device: torch.device) -> TrainSettings:
    """The settings with a precision in place of ``auto``.

    Networks run in bf16 on a device that has it, if the data have at most 256 values, which these 8 binary digits tell apart,
    and the weights are in single precision. Everything else stays as it is: on the CPU, a run has the same bits as before.

    Args:
        settings: of the run.
        model: that is trained.
        device: of the run.
    """
    if settings.precision != "auto":
        return settings
    levels = model.data.levels
    coarse = levels is not None and levels <= _MOST_LEVELS
    low = coarse and model.dtype == torch.float32 and has_bf16(device)
    return replace(settings, precision="bf16" if low else "32")


def network_dtype(settings: TrainSettings) -> torch.dtype | None:
    """The precision in which networks run; None for that of their weights."""
    return torch.bfloat16 if settings.precision == "bf16" else None


@contextmanager
def products(settings: TrainSettings, device: torch.device) -> Iterator[None]:
    """Context in which a GPU rounds the factors of products in single precision to TF32 where networks run in bf16.

    ``--precision 32`` leaves torch as it is set, and so does every other device.
    """
    before = torch.get_float32_matmul_precision()
    if settings.precision == "bf16" and device.type == "cuda" and before == "highest":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if torch.get_float32_matmul_precision() != before:
            torch.set_float32_matmul_precision(before)


def rounding(device: torch.device) -> dict[str, str]:
    """For a record: the numbers in which a GPU multiplies those of single precision; empty for other devices.

    Example:
        >>> rounding(torch.device("cpu"))
        {}
    """
    return {"products": _NAMES[torch.get_float32_matmul_precision()]} if device.type == "cuda" else {}
