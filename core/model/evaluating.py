"""A model in evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from genmod.interfaces.given import WholeModel

__all__ = ["evaluating"]


@contextmanager
def evaluating(model: WholeModel | nn.Module) -> Iterator[None]:
    """Context in evaluation mode and without gradients; afterwards each part is in the mode that it was in."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
