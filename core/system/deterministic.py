"""Algorithms of torch that give the same bits each time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from genmod.errors import UsageError

__all__ = ["deterministic"]


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Context with ``torch.use_deterministic_algorithms``, where wanted; what was set before is restored.

    Raises:
        UsageError: inside, an operation was used that has no such algorithm on this device.
    """
    if not wanted:
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    tuned = torch.backends.cudnn.benchmark
    # CUDA reads it when it first multiplies matrices, and refuses to do so without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UsageError(
            f"with --deterministic: {str(error).splitlines()[0]}",
            hint="leave out --deterministic, train on the CPU (--device cpu), or choose other parts",
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = tuned
