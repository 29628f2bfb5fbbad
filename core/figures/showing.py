"""What a model makes, as matplotlib figures: the methods ``show_…`` of models."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from genmod.data.dataset import Batch, DataInfo, Split
from genmod.errors import DataError
from genmod.figures.grids import grid
from genmod.figures.picture import Picture
from genmod.figures.traversals import active_traversal
from genmod.figures.views import choose_examples, codes, reconstruction_grid, sample_grid
from genmod.figures.walks import activity, interpolation, paired
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import data_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "batch_png",
    "show_interpolations",
    "show_latents",
    "show_reconstructions",
    "show_samples",
    "show_traversals",
]

_FOR_ACTIVITY = 1000
_MOST_OF_A_BATCH = 64


def show_samples(
    model: GenerativeModel,
    n: int = 64,
    *,
    seed: int = 0,
    noise: bool = False,
    condition: str | None = None,
    source: Source | None = None,
    temperature: float | Sequence[float] = 1.0,
) -> "Figure":
    """New examples, as :func:`genmod.figures.sample_grid` draws them; of a conditional model a row for each class.

    Example:
        >>> import genmod
        >>> show_samples(genmod.build(encoder="mlp"), 4).get_size_inches().tolist()
        [3.96, 2.09]
    """
    return _figure(
        sample_grid(
            model, n, seed=seed, noise=noise, condition=condition, source=source, temperature=temperature
        )
    )


def show_reconstructions(
    model: LatentVariableModel, data: Any = None, n: int = 8, *, seed: int = 0
) -> "Figure":
    """Examples above their reconstructions.

    Args:
        model: any model.
        data: as :func:`genmod.train` takes it, of which the test split is shown; by default that of the model.
        n: how many.
        seed: of their choice.
    """
    batch = choose_examples(_split(model, data), n, seed=seed)
    return _figure(reconstruction_grid(model, batch.x, context=model.context(batch), seed=seed))


def show_interpolations(
    model: LatentVariableModel, data: Any = None, n: int = 6, *, steps: int = 10, seed: int = 0
) -> "Figure":
    """Decodings on the way from one example to another, which stand at the ends; as :func:`show_reconstructions`."""
    from dataclasses import replace

    batch = choose_examples(_split(model, data), 2 * n, seed=seed)
    if len(batch) < 2:
        raise DataError(f"there are {len(batch)} examples; a walk needs two")
    context = model.context(batch)
    z = codes(model, batch.x, context=context, seed=seed)
    walk = interpolation(model, *paired(z), steps=steps, context=None if context is None else paired(context))
    return _figure(replace(walk, ends=paired(model.data.values(batch.x))))


def show_traversals(
    model: LatentVariableModel, data: Any = None, n: int = 8, *, steps: int = 9, seed: int = 0
) -> "Figure":
    """Decodings along the ``n`` most active dimensions of one code; as :func:`show_reconstructions`."""
    batch = choose_examples(_split(model, data), _FOR_ACTIVITY, seed=seed)
    context = model.context(batch)
    z = codes(model, batch.x, context=context, seed=seed)
    amounts, _ = activity(model, batch.x, context=context, seed=seed)
    return _figure(active_traversal(model, z, amounts, n, steps, context=context))


def show_latents(
    model: LatentVariableModel, data: Any = None, *, panels: Sequence[str] = (), seed: int = 0, **more: Any
) -> "Figure":
    """Where codes lie, what lies between them, and the gaps: :func:`genmod.figures.latents_figure` of the test split."""
    from genmod.figures.latents import latents_figure

    return latents_figure(model, _split(model, data), panels=panels, seed=seed, **more).figure


def batch_png(batch: Batch) -> bytes | None:
    """The first 64 pictures of a batch as a ``.png``; None where examples are no pictures.

    A batch does not know the range of its values: whole numbers are shown from 0 to their largest, others from 0 to 1 if
    they lie there.
    """
    x = batch.x[:_MOST_OF_A_BATCH]
    if x.dim() not in (3, 4) or not x.numel() or min(x.shape[-2:]) < 2:
        return None
    values = x.float()
    finite = values[values.isfinite()]
    unit = bool(len(finite)) and float(finite.min()) >= 0 and float(finite.max()) <= 1
    low, high = (0.0, 1.0) if unit else (-math.inf, math.inf)
    if not x.is_floating_point():
        low, high = 0.0, max(1.0, float(x.max()))
    names = [] if batch.labels is None else [str(label) for label in batch.labels[: len(x)].tolist()]
    image = grid(
        values[None] if names else values,
        data=DataInfo(tuple(x.shape[1:]), low=low, high=high),
        columns=math.ceil(math.sqrt(len(x))),
        column_labels=names,
    )
    from genmod.figures.picture import png_of

    return png_of(image)


def _split(model: GenerativeModel, data: Any) -> Split:
    if isinstance(data, Split):
        return model.suited(data)
    return model.suited(data_for(model.spec, model.data, data)).split("test")


def _figure(picture: Picture) -> "Figure":
    from genmod.figures.notebook import figure_of

    with torch.no_grad():
        return figure_of(picture.image())
