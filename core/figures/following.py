"""Which factor or class each variable of the latents tells most of."""

import math

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo
from genmod.evaluation.information import binned, entropy, mutual_information
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["Followed", "followed"]

_FEWEST = 50
_BINS = 20
_LEAST = 0.1
"""Share of what a factor says below which a variable follows none."""

Followed = dict[int, tuple[str, float]]
"""Variable → what it follows, and the share of its entropy that it tells."""


def followed(model: LatentVariableModel, latents: Tensor, batch: Batch) -> Followed:
    """The factor, or the class, that each variable tells most of, where these are known.

    Of data with factors it is one of them, or the class. Of data with classes alone, it is whether an example is of that
    class. What a variable ``z`` tells of ``v`` is ``I(z; v) / H(v)``, in bins of equal width, less what chance gives
    them: ``(bins - 1) (values - 1) / 2N``.

    Args:
        model: has the latent space and the names of classes and factors.
        latents: codes, ``(N, *latent_shape)``.
        batch: the encoded examples.

    Returns:
        What each variable follows; variables that tell less than 10 % of anything are left out, and all of them where
        there are fewer than 50 examples.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> labels = torch.arange(200) % 10
        >>> codes = torch.stack([(labels == 3) + 0.01 * torch.rand(200), torch.rand(200)], 1)
        >>> found = followed(model, codes, Batch(torch.zeros(200, 1, 8, 8), labels=labels))
        >>> {place: name for place, (name, share) in found.items() if share > 0.9}
        {0: 'class 3'}
    """
    names, columns = _known(batch, model.data)
    if not names or len(latents) < _FEWEST:
        return {}
    flat = latents.detach().flatten(1).double().cpu()
    if not flat.isfinite().all():
        return {}
    units = model.space.units
    # Of a vector of classes, what counts is which one it is.
    single = torch.stack(
        [
            flat[:, unit.start]
            if unit.size == 1
            else flat[:, unit.start : unit.start + unit.size].argmax(1).double()
            for unit in units
        ],
        1,
    )
    factors = torch.stack(columns, 1).numpy()
    labels = binned(single.numpy(), min(_BINS, max(4, int(math.sqrt(len(flat))))))
    used = torch.tensor([len(set(column.tolist())) for column in labels.T])[:, None]
    values = torch.tensor([len(set(column.tolist())) for column in factors.T])
    chance = (used - 1) * (values - 1) / (2 * len(flat))
    shares = (torch.from_numpy(mutual_information(labels, factors)) - chance) / torch.from_numpy(
        entropy(factors)
    )
    most, best = shares.max(1)
    return {
        place: (names[int(best[place])], min(1.0, share))
        for place, share in enumerate(most.tolist())
        if share >= _LEAST
    }


def _known(batch: Batch, data: DataInfo) -> tuple[list[str], list[Tensor]]:
    """Names and values of what is known of the examples and varies, ``(N,)`` each, numbered from 0."""
    found: list[tuple[str, Tensor]] = []
    if batch.factors is not None:
        found += [(factor.name, batch.factors[:, place]) for place, factor in enumerate(data.factors)]
        if batch.labels is not None:
            found.append(("class", batch.labels))
    elif batch.labels is not None:
        count = int(batch.labels.max()) + 1
        classes = [data.classes[k] if k < len(data.classes) else str(k) for k in range(count)]
        found += [(f"class {name}", batch.labels == k) for k, name in enumerate(classes)]
    varying = [(name, values.cpu().long()) for name, values in found if len(values.unique()) > 1]
    return [name for name, _ in varying], [values - values.min() for _, values in varying]
