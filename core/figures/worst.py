"""The worst reconstructions."""

from collections.abc import Callable

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo, Split
from genmod.errors import UsageError
from genmod.figures.picture import Picture
from genmod.figures.views import decode_means, encode_centres
from genmod.model.encode import observed_batches
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["difference", "worst_grid"]


def worst_grid(
    model: LatentVariableModel,
    split: Split,
    n: int,
    *,
    name: str = "",
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> Picture:
    """The examples of a split whose reconstructions have the largest squared errors, the worst first.

    Args:
        model: any model.
        split: all of its examples are reconstructed.
        n: how many are shown.
        name: of the split, for the captions.
        seed: of the binarisation where the decoder draws one, and of latents without a known mean.
        on_step: called with the number of examples that are done, and of all.

    Returns:
        Images ``(n, 3, *data.shape)``: each example as the model observed it, the mean of ``p(x|z)`` at its code, and
        their :func:`difference`; with the arrays ``indices`` in the split and ``errors``, mean squares over the values.

    Raises:
        UsageError: fewer than one were asked for, or there are none.

    Example:
        >>> import genmod
        >>> split = genmod.TensorSplit(genmod.Batch(torch.rand(20, 1, 8, 8)))
        >>> picture = worst_grid(genmod.build(encoder="mlp"), split, 2, name="test")
        >>> picture.images.shape, picture.extra["errors"].shape
        (torch.Size([2, 3, 1, 8, 8]), torch.Size([2]))
    """
    split = model.suited(split)
    if n < 1:
        raise UsageError(f"{n} of {len(split)} examples were asked for; give a whole number from 1")
    if not len(split):
        raise UsageError("there are no examples to reconstruct")
    data = model.data
    kept = {
        "indices": torch.zeros(0, dtype=torch.int64),
        "errors": torch.zeros(0, dtype=torch.float64),
        "labels": torch.zeros(0, dtype=torch.int64),
        "images": torch.zeros(0, 2, *data.shape),
    }
    done = 0
    for _, x, batch in observed_batches(model, split, "worst", seed=seed):
        context = model.context(batch)
        z = encode_centres(model, x, context=context, seed=seed)
        pair = torch.stack([x, decode_means(model, z, context=context)], 1).detach().float().cpu()
        labels = torch.full((len(x),), -1) if batch.labels is None else batch.labels.cpu()
        errors = (pair[:, 0] - pair[:, 1]).double().square().flatten(1).nanmean(1)
        new = {"indices": done + torch.arange(len(x)), "errors": errors, "labels": labels, "images": pair}
        kept = {key: torch.cat([before, new[key]]) for key, before in kept.items()}
        # Of equal errors the first example is kept.
        order = kept["errors"].argsort(descending=True, stable=True)[:n]
        kept = {key: values[order] for key, values in kept.items()}
        done += len(x)
        on_step(done, len(split))
    x, made = kept["images"].unbind(1)
    captions = [
        f"{name} {index}{_class(data, label)}, squared error {error:.3g}".strip()
        for index, error, label in zip(
            *(kept[key].tolist() for key in ("indices", "errors", "labels")), strict=True
        )
    ]
    return Picture(
        torch.stack([x, made, difference(x, made, data)], 1),
        data,
        extra={"indices": kept["indices"], "errors": kept["errors"]},
        title=f"The {len(captions)} worst of {len(split):,} reconstructions",
        row_labels=tuple(captions),
        # Short enough to stand above small pictures.
        column_labels=("data", "decoded", "error"),
    )


def difference(x: Tensor, made: Tensor, data: DataInfo) -> Tensor:
    """How far reconstructions are from examples, as pictures: ``|x - made|`` above the lowest value that data may have.

    Data without bounds have signed differences, ``x - made``.

    Example:
        >>> difference(torch.tensor([0.2]), torch.tensor([0.9]), DataInfo((1,)))
        tensor([0.7000])
    """
    if data.low == -float("inf") or data.high == float("inf"):
        return x - made
    return ((x - made).abs() + data.low).clamp(max=data.high)


def _class(data: DataInfo, label: int) -> str:
    return f" ({data.classes[label]})" if 0 <= label < len(data.classes) else ""
