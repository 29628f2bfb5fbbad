"""The validation loss."""

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
    """Loss and terms of a split: means over its examples, with the same noise each time, in evaluation mode.

    Processes take turns at pieces of the split; the noise and the sums are those of one process.

    Args:
        model: put in evaluation mode meanwhile.
        terms: its loss and terms.
        split: the examples.
        seed: of the noise.
        team: the processes that take turns; None where each does all of it.

    Raises:
        ImpossibleError: the values are such as no model has.
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
