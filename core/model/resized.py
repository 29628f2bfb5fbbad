"""Resizing a model: its weights in a model of pictures of another size."""

from collections.abc import Collection
from dataclasses import replace

from genmod.defaults import MAPS
from genmod.errors import UsageError
from genmod.model.assembly import assemble
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["resized", "resized_parts"]


def resized(model: LatentVariableModel, shape: tuple[int, ...]) -> LatentVariableModel:
    """A copy of a model, with the same weights, for pictures of another size.

    The weights of fully convolutional parts, such as encoder and network ``conv-map``, posterior ``normal-map`` or ``vq``
    and prior ``pixelcnn``, do not depend on the size of the pictures; the number of latents does. A sampler is not copied,
    because it was fitted to latents of the old size.

    Args:
        model: the model with the weights; it is not changed.
        shape: new shape of the pictures, ``(channels, height, width)``; the number of channels must be the same.

    Returns:
        A separate model, in the same mode, on the same device and in the same precision.

    Raises:
        UsageError: the data are not pictures, have other channels, or the shape of a weight depends on the size.

    Example:
        >>> from genmod import build
        >>> small = build(encoder="conv-map", posterior="normal-map", latent=4)
        >>> large = resized(small, (1, 16, 24))
        >>> small.latent_shape, large.latent_shape, large.sample(2).shape
        ((4, 2, 2), (4, 4, 6), torch.Size([2, 1, 16, 24]))
    """
    return resized_parts(model, shape, None)


def resized_parts(
    model: LatentVariableModel,
    shape: tuple[int, ...],
    needed: Collection[str] | None,
    *,
    shared: bool = False,
) -> LatentVariableModel:
    """:func:`resized`, with the weights of the needed parts alone, by kind; those of others are drawn afresh.

    Args:
        model: as for :func:`resized`; so is the shape.
        shape: new shape of the pictures.
        needed: kinds of parts; None for all.
        shared: the weights are those of the model itself, which is to stay as it is.
    """
    old, shape = model.data.shape, tuple(shape)
    if not model.data.is_image or len(shape) != 3 or shape[0] != old[0]:
        raise UsageError(
            f"a model of examples of shape {old} cannot be resized to the shape {shape}",
            hint="only models of pictures can be resized, and keep the channels: (channels, height, width)",
        )
    made = assemble(model.spec, replace(model.data, shape=shape))
    weights, wanted = (
        {
            name: value
            for name, value in each.state_dict().items()
            if needed is None or name.split(".")[0] in needed
        }
        for each in (model, made)
    )
    differ = [
        name
        for name in {**wanted, **weights}
        if getattr(weights.get(name), "shape", None) != getattr(wanted.get(name), "shape", None)
    ]
    if differ:
        kind = differ[0].split(".")[0]
        part = model.spec.components.get(kind)
        raise UsageError(
            f"the weights of {kind} {part.name if part else ''!r} depend on the size of the pictures, {old[1]}×{old[2]} before",
            hint=f"those of fully convolutional parts do not: {MAPS}",
        )
    made.to(model.device, model.dtype).load_state_dict(weights, strict=needed is None, assign=shared)
    made.weights_seed = None
    return made.train(model.training)
