"""The source of latents of new examples, and their temperature."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.distributions import Independent, LowRankMultivariateNormal, MultivariateNormal, Normal

from genmod.defaults import NORMAL_SAMPLER
from genmod.errors import UndefinedError, UsageError
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.latents_from import LatentsFrom

__all__ = ["origin_of_latents", "shown", "tempered"]


def origin_of_latents(model: LatentVariableModel, source: Source | None = None) -> str:
    """The source of latents of new examples: ``prior, normal``, or ``sampler, gmm``; of a model without latents, its name.

    Example:
        >>> import genmod
        >>> origin_of_latents(genmod.build(encoder="mlp"))
        'prior, normal'
    """
    sampler = model.sampler_for(source)
    if not model.has_latents:
        named = model.spec.components.get("model")
        return f"model, {named.name if named else type(model).__name__}"
    if sampler is None:
        named = model.spec.components.get("prior")
        return f"prior, {named.name if named else type(model.prior).__name__}"
    if isinstance(sampler, LatentsFrom):
        return "model of codes"
    origin = sampler.origin
    return f"sampler, {type(sampler).__name__ if origin is None else origin.component.name}"


def shown(temperature: float | Sequence[float]) -> str:
    """A temperature as it is written, or those of several groups of latents.

    Example:
        >>> shown(0.5), shown([0.5, 1.0])
        ('0.5', '0.5,1')
    """
    return ",".join(f"{each:g}" for each in _each(temperature))


def tempered(
    model: LatentVariableModel,
    z: Tensor,
    temperature: float | Sequence[float],
    *,
    context: Tensor | None = None,
    source: Source | None = None,
) -> Tensor:
    """Latents of a normal whose standard deviations are multiplied by a temperature.

    ``mean + temperature (z - mean)``, which for a normal distribution is a draw from ``p(z)^(1/temperature²)``,
    normalised. Below 1, samples are more typical and less varied than draws of the model. Other distributions are
    refused.

    Args:
        model: has the prior or the sampler of the draws.
        z: draws, ``(n, *latent_shape)``.
        temperature: above 0; 1 changes nothing.
        context: what a conditional model was given, ``(n, size)``.
        source: ``prior`` or ``sampler``.

    Raises:
        UsageError: a temperature that is not above 0.
        UndefinedError: they were not drawn from a normal distribution.

    Example:
        >>> import genmod
        >>> import torch
        >>> tempered(genmod.build(encoder="mlp", latent=2), torch.ones(1, 2), 0.5)
        tensor([[0.5000, 0.5000]])
    """
    if not all(0 < each < math.inf for each in _each(temperature)):
        raise UsageError(f"temperature is {temperature}; it must be a number above 0")
    if temperature == 1:
        return z
    sampler = model.sampler_for(source)
    conditions = model.conditions_in(context)
    p = model.prior(conditions) if sampler is None else sampler.given(conditions)
    if hasattr(p, "tempered"):
        return p.tempered(z, temperature)  # type: ignore[no-any-return]
    base = p
    while isinstance(base, Independent):
        base = base.base_dist
    if isinstance(temperature, Sequence) or not isinstance(
        base, Normal | MultivariateNormal | LowRankMultivariateNormal
    ):
        raise UndefinedError(
            f"latents from the {origin_of_latents(model, source)}, have no temperature: their distribution is not normal",
            hint="leave --temperature out, or draw them from a normal one: --from prior, or a sampler: "
            f"genmod fit-sampler {NORMAL_SAMPLER}",
        )
    mean = p.mean.to(z)
    return mean + temperature * (z - mean)


def _each(temperature: float | Sequence[float]) -> Sequence[float]:
    return temperature if isinstance(temperature, Sequence) else [temperature]
