"""The examples of a split as a model sees them, and their codes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod.data.dataset import Batch, Split
from genmod.distributions.codes import Coded as PointInCodebook
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.given import GivenModel, WholeModel
from genmod.model.evaluating import evaluating
from genmod.model.pieces import examples_at_once
from genmod.system.noise import drawn_on_cpu
from genmod.system.random import seed_for, seeded

__all__ = [
    "COLUMNS",
    "Coded",
    "More",
    "check_more",
    "code_blocks",
    "coded_batches",
    "coded_together",
    "encode_split",
    "encoded_rows",
    "observed_batches",
]

More = Literal["scales", "draws"]
"""What there can be beside the codes."""

_ALL = slice(None)

COLUMNS = {"means": "z{}", "codes": "code{}", "scales": "z{}_scale", "draws": "z{}"}
"""Array → what its columns are called."""


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
    model: WholeModel,
    split: Split,
    stream: str,
    *,
    seed: int,
    limit: int | None = None,
    size: int | None = None,
    turn: slice = _ALL,
) -> Iterator[tuple[GivenModel, Tensor, Batch]]:
    """The examples of a split in order, batch by batch, drawing from ``stream`` while one is worked on.

    Args:
        model: any model.
        split: the examples.
        stream: of binarisation and of all that is drawn inside the loop.
        seed: of the stream.
        limit: only as many of the first examples.
        size: examples at a time, by default :func:`examples_at_once`; another size draws other numbers.
        turn: which of the batches; the numbers that one draws do not depend on the others.

    Yields:
        The model, given the conditions of the batch where it is conditional; observations ``x (B, *data.shape)`` on its
        device; the batch as it is stored.
    """
    split, size = model.suited(split), size or examples_at_once(model)
    count = len(split) if limit is None else min(limit, len(split))
    for start in range(0, count, size)[turn]:
        with seeded(seed_for(seed, stream, start)):
            batch = split.__getitems__(range(start, min(start + size, count)))
            with drawn_on_cpu(model.device):
                x = model.observe(batch.x.to(model.device))
            yield model.given(model.context(batch)), x, batch


def encode_split(
    model: WholeModel,
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
    parts, done = [], 0
    with evaluating(model):
        for part in coded_batches(model, split, stream=stream, seed=seed, limit=limit):
            parts.append(part)
            done += len(part.draws)
            on_step(done, total)
    return coded_together(parts)


def coded_together(parts: Sequence[Coded]) -> Coded:
    """The codes of several batches, in the order of these; one or more."""
    return Coded(
        torch.cat([part.means for part in parts]),
        torch.cat([part.draws for part in parts]),
        _together([part.labels for part in parts]),
        _together([part.factors for part in parts]),
        all(part.has_means for part in parts),
        _together([part.context for part in parts]),
    )


def coded_batches(
    model: WholeModel,
    split: Split,
    *,
    stream: str = "codes",
    seed: int = 0,
    limit: int | None = None,
    turn: slice = _ALL,
) -> Iterator[Coded]:
    """The codes of :func:`encode_split`, batch by batch; of a model that the caller put in evaluation mode."""
    for conditioned, x, batch in observed_batches(model, split, stream, seed=seed, limit=limit, turn=turn):
        q = conditioned.encode(x)
        draws = q.sample().cpu()
        try:
            means, has_means = q.mean.cpu(), True
        except NotImplementedError:
            means, has_means = draws, False
        context = model.conditions_in(model.context(batch))
        yield Coded(means, draws, batch.labels, batch.factors, has_means, context)


def _together(parts: list[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known).cpu() if known and len(known) == len(parts) else None


def code_blocks(
    model: WholeModel,
    split: Split,
    *,
    more: Sequence[More] = (),
    draws: int = 1,
    seed: int = 0,
) -> Iterator[dict[str, Tensor]]:
    """Codes of the examples of a split in their order, block by block, on the CPU.

    The values are encoded as they are, as ``model.encode(x)`` does it, so that codes are the same each time: what a decoder
    draws when it observes an example, such as a binary image, is not drawn. The mode of the model and the global random
    state are left as they were.

    Args:
        model: any model.
        split: the examples.
        more: ``scales`` and ``draws`` beside the codes.
        draws: of ``q(z|x)``, for each example.
        seed: of the draws.

    Yields:
        First ``codes (B, *shape)`` int64 of a posterior with a codebook, else ``means (B, *latent_shape)``, else, where
        the mean is unknown, ``draws``. Then ``scales``, the standard deviations of ``q(z|x)``, ``(B, *latent_shape)``, and
        ``draws (B, *latent_shape)``, or ``(B, K, *latent_shape)`` of several.

    Raises:
        UsageError: there are no examples.
        UndefinedError: the standard deviations are unknown.
        DataError: the examples do not suit the model.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> split = genmod.TensorSplit(genmod.Batch(torch.zeros(5, 1, 8, 8)))
        >>> [block["means"].shape for block in code_blocks(model, split)]
        [torch.Size([5, 2])]
    """
    check_more(more)
    split = model.suited(split)
    if not len(split):
        raise UsageError("there are no examples to encode", hint="choose data that have some")
    for _, block in encoded_rows(model, split, range(len(split)), more=more, draws=draws, seed=seed):
        yield block


def encoded_rows(
    model: WholeModel,
    split: Split,
    rows: range,
    *,
    more: Sequence[More] = (),
    draws: int = 1,
    seed: int = 0,
    stream: str = "encode",
) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
    """Examples with their codes, as :func:`code_blocks` makes them, of a split that is in the model's terms already.

    Args:
        model: any model.
        split: from ``model.suited``.
        rows: of the examples, one after the other; blocks begin with the first of them.
        more: beside the codes.
        draws: of ``q(z|x)``, for each example.
        seed: of the draws.
        stream: of the draws.
    """
    size = examples_at_once(model)
    for start in range(rows.start, rows.stop, size):
        batch = split.__getitems__(range(start, min(start + size, rows.stop)))
        with evaluating(model), seeded(seed_for(seed, stream, start)), drawn_on_cpu(model.device):
            q = model.given(model.context(batch)).encode(batch.x.to(model.device))
            block = {**_codes(q), **({"scales": _scales(q, model)} if "scales" in more else {})}
            if "draws" in more or not block.keys() & {"codes", "means"}:
                drawn = q.sample((draws,)) if draws > 1 else q.sample()
                block["draws"] = drawn.transpose(0, 1) if draws > 1 else drawn
        yield batch, {name: tensor.cpu().contiguous() for name, tensor in block.items()}


def check_more(more: Sequence[str]) -> None:
    """Refuse what there is not beside codes.

    Raises:
        UsageError: an unknown name.
    """
    wrong = [name for name in more if name not in get_args(More)]
    if wrong:
        raise UsageError(
            f"beside codes there are no {', '.join(map(repr, wrong))}",
            hint=f"there are: {', '.join(get_args(More))}",
        )


def _codes(q: Distribution) -> dict[str, Tensor]:
    if isinstance(q, PointInCodebook):
        return {"codes": q.codes}
    try:
        return {"means": q.mean}
    except NotImplementedError:
        return {}


def _scales(q: Distribution, model: WholeModel) -> Tensor:
    try:
        return q.stddev
    except NotImplementedError:
        raise UndefinedError(
            f"the standard deviations of posterior {model.spec.components['posterior'].name!r} are not known",
            hint="leave scales out, and take draws: --with draws --draws 100",
        ) from None
