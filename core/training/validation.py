"""Validation: loss and terms of a split."""

from collections.abc import Callable

import torch

from genmod.data.dataset import Split
from genmod.evaluation.impossible import limits_of
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.objective import Terms
from genmod.model.pieces import examples_at_once
from genmod.system.parallel import local
from genmod.system.random import seed_for, seeded
from genmod.training.distributed import Team
from genmod.training.metrics import RunningMeans

__all__ = ["validation_means"]


@torch.no_grad()
def validation_means(
    model: GenerativeModel,
    terms: Callable[..., Terms],
    split: Split,
    *,
    seed: int,
    team: Team | None,
) -> dict[str, float]:
    """Loss and terms of a split: means over its examples, in evaluation mode and with the same random numbers each time.

    The pieces of the split are shared among the processes; random numbers and sums are those of a single process.

    Args:
        model: in evaluation mode during the call.
        terms: its loss and terms.
        split: the examples.
        seed: of the random numbers.
        team: the processes; None if each computes all pieces.

    Raises:
        ImpossibleError: a value is impossible for any model.
    """
    size = examples_at_once(model)
    starts = range(0, len(split), size)
    mine = starts if team is None else starts[team.rank :: team.size]
    sums, limits = {}, limits_of(model)
    was_training = model.training
    model.eval()
    with local():
        for start in mine:
            batch = split.__getitems__(range(start, min(start + size, len(split))))
            means = RunningMeans(limits)
            with seeded(seed_for(seed, "validation", start)):
                context = model.context(batch)
                means.add(
                    terms(batch.x.to(model.device), *([] if context is None else [context])), len(batch)
                )
            sums[start] = means.state()
    model.train(was_training)
    parts = [sums] if team is None else team.gather(sums)
    together = {start: state for part in parts for start, state in part.items()}
    return RunningMeans.of([together[start] for start in starts]).possible().take()
