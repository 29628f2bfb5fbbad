"""What kind of space latents live in, found out by asking its support about a few points."""

import math
from typing import Literal

import torch
from torch import Tensor

from genmod.model.latent_variable import LatentVariableModel

__all__ = ["Space", "inside", "space_of"]

Space = Literal["real", "sphere", "ball", "positive", "unit", "binary", "simplex", "classes", "other"]
"""All real numbers; unit vectors; a ball around the origin; positive numbers; numbers from 0 to 1; zeros and ones;
probabilities; vectors with a single one; anything else, as latents of several kinds."""


def space_of(model: LatentVariableModel) -> Space:
    """The space of a model's latents.

    Example:
        >>> import genmod
        >>> space_of(genmod.build(encoder="mlp", latent=2))
        'real'
        >>> space_of(genmod.build("s-vae", encoder="mlp", latent=3))
        'sphere'
    """
    shape = model.latent_shape
    classes = shape[-1]
    flat = torch.eye(classes)[torch.zeros(shape[:-1], dtype=torch.int64)]
    direction = torch.linspace(-1.0, 2.0, math.prod(shape)).reshape(shape)
    unit = direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    asked = {
        "far": 1e3 * direction,
        "positive": 1e3 * direction.abs() + 1.0,
        "unit": unit,
        "small": 1e-2 * unit,
        "half": torch.full(shape, 0.5),
        "ones": torch.ones(shape),
        "even": torch.full(shape, 1 / classes),
        "corner": flat,
    }
    lies = {name: bool(inside(model, point[None]).all()) for name, point in asked.items()}
    if lies["far"]:
        return "real"
    if lies["positive"]:
        return "positive"
    if lies["unit"] and not lies["small"]:
        return "sphere"
    if classes > 1 and lies["even"] and not lies["ones"] and not lies["small"]:
        return "simplex"
    if lies["half"] and lies["ones"] and not lies["small"]:
        return "unit"
    if lies["ones"] and not lies["half"]:
        return "binary"
    if classes > 1 and lies["corner"] and not lies["half"] and not lies["ones"]:
        return "classes"
    return "ball" if lies["small"] and not lies["far"] else "other"


def inside(model: LatentVariableModel, z: Tensor) -> Tensor:
    """Which latents lie in the support of the posterior: ``(N, *latent_shape) → (N,)`` of truth values."""
    support = model.posterior.support
    if support is None:
        return torch.ones(len(z), dtype=torch.bool)
    return support.check(z).reshape(len(z), -1).all(1).cpu()  # type: ignore[no-untyped-call,no-any-return]
