"""What parts of a model are given of the training data before the first step."""

import torch
from torch import nn

from genmod.data.dataset import Split
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.part import Part
from genmod.system.random import seed_for

__all__ = ["prepare_parts"]


def prepare_parts(model: nn.Module, split: Split, seed: int, *, resumed: bool) -> None:
    """Say to every divergence how many examples there are, and give priors and decoders those that they want.

    A decoder that is made of others hands their share on to them.

    Args:
        model: whose parts.
        split: the training examples.
        seed: the same one gives the same examples.
        resumed: whether a run goes on: they then have what they were given at its start.
    """
    decoders = [part for part in model.modules() if isinstance(part, Decoder)]
    inner = {id(part) for whole in decoders for part in whole.modules() if part is not whole}
    for part in model.modules():
        if isinstance(part, Divergence):
            part.set_dataset_size(len(split))
        if not isinstance(part, Part) or id(part) in inner:
            continue
        if part.examples_wanted and not resumed:
            generator = torch.Generator().manual_seed(seed_for(seed, "examples"))
            chosen = torch.randperm(len(split), generator=generator)[: part.examples_wanted]
            part.prepare(split.__getitems__(sorted(chosen.tolist())).x)
