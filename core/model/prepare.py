"""Training examples for parts of a model, before the first step."""

from collections.abc import Collection

import torch
from torch import nn

from genmod.data.dataset import Split
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.part import Part
from genmod.system.random import seed_for

__all__ = ["prepare_parts"]


def prepare_parts(
    model: nn.Module, split: Split, seed: int, *, resumed: bool, still: Collection[nn.Module] = ()
) -> None:
    """Give each divergence the size of the training split, and each part the training examples that it needs.

    Decoders inside another decoder are left out: the outer one passes their examples on.

    Args:
        model: the model.
        split: the training examples.
        seed: of the choice of examples.
        resumed: whether a run is resumed; its parts were given examples at its start.
        still: modules that keep what they have.
    """
    decoders = [part for part in model.modules() if isinstance(part, Decoder)]
    inner = {id(part) for whole in decoders for part in whole.modules() if part is not whole}
    for part in model.modules():
        if isinstance(part, Divergence):
            part.set_dataset_size(len(split))
        if not isinstance(part, Part) or id(part) in inner:
            continue
        if part.examples_wanted and not resumed and part not in still:
            generator = torch.Generator().manual_seed(seed_for(seed, "examples"))
            chosen = torch.randperm(len(split), generator=generator)[: part.examples_wanted]
            part.prepare_batch(split.__getitems__(sorted(chosen.tolist())))
