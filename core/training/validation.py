"""The validation loss."""

import torch

from genmod.dataset import Split
from genmod.model import GenerativeModel
from genmod.random import seed_for, seeded
from genmod.training.metrics import RunningMeans

__all__ = ["validation_means"]

_CHUNK = 500
"""Examples at a time; a constant, so that the batch size of training does not change the noise."""


@torch.no_grad()
def validation_means(model: GenerativeModel, split: Split, *, seed: int) -> dict[str, float]:
    """Loss and terms of a split: means over its examples, with the same noise each time, in evaluation mode."""
    means = RunningMeans()
    was_training = model.training
    model.eval()
    with seeded(seed_for(seed, "validation")):
        for start in range(0, len(split), _CHUNK):
            batch = split.__getitems__(range(start, min(start + _CHUNK, len(split))))
            means.add(model.terms(batch.x.to(model.device)), len(batch))
    model.train(was_training)
    return means.take()
