"""The examples of a split as a model sees them, and their codes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.data.dataset import Batch, Split
from genmod.errors import UsageError
from genmod.interfaces.given import GivenModel
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import examples_at_once
from genmod.system.noise import drawn_on_cpu
from genmod.system.random import seed_for, seeded

__all__ = ["Coded", "encode_split", "observed_batches"]


@dataclass(frozen=True)
class Coded:
    """Codes of examples, and what is known of these.

    Args:
        means: of ``q(z|x)``, or draws where it has no known mean, ``(N, *latent_shape)``.
        draws: one draw of ``q(z|x)`` for each example, ``(N, *latent_shape)``.
        labels: their classes, ``(N,)`` int64, or None.
        factors: their ground-truth factors, ``(N, K)`` int64, or None.
        has_means: whether the mean is known.
        context: conditions of each, ``(N, size)``; None of a model that is not conditional.
    """

    means: Tensor
    draws: Tensor
    labels: Tensor | None
    factors: Tensor | None
    has_means: bool = True
    context: Tensor | None = None


def observed_batches(
    model: LatentVariableModel,
    split: Split,
    stream: str,
    *,
    seed: int,
    limit: int | None = None,
    size: int | None = None,
) -> Iterator[tuple[GivenModel, Tensor, Batch]]:
    """The examples of a split in order, batch by batch, drawing from ``stream`` while one is worked on.

    Args:
        model: any model.
        split: the examples.
        stream: of binarisation and of all that is drawn inside the loop.
        seed: of the stream.
        limit: only as many of the first examples.
        size: examples at a time, by default :func:`examples_at_once`; another size draws other numbers.

    Yields:
        The model, given the conditions of the batch where it is conditional; observations ``x (B, *data.shape)`` on its
        device; the batch as it is stored.
    """
    split, size = model.suited(split), size or examples_at_once(model)
    count = len(split) if limit is None else min(limit, len(split))
    for start in range(0, count, size):
        with seeded(seed_for(seed, stream, start)):
            batch = split.__getitems__(range(start, min(start + size, count)))
            with drawn_on_cpu(model.device):
                x = model.observe(batch.x.to(model.device))
            yield model.given(model.context(batch)), x, batch


@torch.no_grad()
def encode_split(
    model: LatentVariableModel,
    split: Split,
    *,
    stream: str = "codes",
    seed: int = 0,
    limit: int | None = None,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> Coded:
    """The codes of the examples of a split, on the CPU.

    Args:
        model: put in evaluation mode meanwhile.
        split: the examples.
        stream: of the draws, and of the binarisation where the decoder draws one.
        seed: of the stream.
        limit: only as many of the first examples.
        on_step: called with the number of codes that are done, and of all.

    Raises:
        UsageError: there is no example.
    """
    total = len(split) if limit is None else min(limit, len(split))
    if not total:
        raise UsageError("there are no examples to encode", hint="choose data that have some")
    means, draws, labels, factors, contexts = [], [], [], [], []
    has_means, was_training = True, model.training
    model.eval()
    try:
        for conditioned, x, batch in observed_batches(model, split, stream, seed=seed, limit=limit):
            q = conditioned.encode(x)
            draws.append(q.sample().cpu())
            try:
                means.append(q.mean.cpu())
            except NotImplementedError:
                has_means = False
                means.append(draws[-1])
            labels.append(batch.labels)
            factors.append(batch.factors)
            contexts.append(model.conditions_in(model.context(batch)))
            on_step(sum(map(len, draws)), total)
    finally:
        model.train(was_training)
    return Coded(
        torch.cat(means),
        torch.cat(draws),
        _together(labels),
        _together(factors),
        has_means,
        _together(contexts),
    )


def _together(parts: list[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known).cpu() if known and len(known) == len(parts) else None
