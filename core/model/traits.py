"""Whether the parts of a model fit each other by what they declare: supports, ranges, densities, losses."""

import torch
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from genmod.data.dataset import DataInfo
from genmod.defaults import BOUND, CLASSES, IGNORED, NORMAL_LATENTS, REAL_VALUES, RECONSTRUCTION, USUAL
from genmod.distributions.codes import Codebook
from genmod.distributions.probing import same_support
from genmod.errors import UsageError
from genmod.interfaces.part import Part
from genmod.interfaces.prior import Prior
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.losses import adds_losses
from genmod.spec import ModelSpec

__all__ = ["check_classes", "check_losses", "check_traits"]


def check_classes(spec: ModelSpec, prior: Prior, posterior: Codebook) -> None:
    """Whether a prior is one over classes, as codes are.

    Raises:
        UsageError: it is not.
    """
    shape = prior.latent_shape
    wanted = constraints.independent(constraints.one_hot, len(shape) - 1)
    if prior.has_density and not (prior.support and same_support(prior.support, wanted, shape)):
        raise UsageError(
            f"posterior {spec.components['posterior'].name!r} draws codes, {posterior.classes} of them, and prior "
            f"{spec.components['prior'].name!r} is no prior over classes: it has its density on {prior.support}",
            hint=f"choose one that is: {CLASSES}",
        )


def check_traits(model: LatentVariableModel) -> None:
    """Whether supports, ranges, losses and densities of the parts fit each other.

    Raises:
        UsageError: they do not; the hint says what to choose instead.
    """
    _check_supports(model)
    check_losses(model)


def _check_supports(model: LatentVariableModel) -> None:
    names = {kind: part.name for kind, part in model.spec.components.items()}
    posterior, prior, decoder = model.posterior, model.prior, model.decoder
    if (
        posterior.support is not None
        and prior.support is not None
        and not same_support(posterior.support, prior.support, model.latent_shape)
    ):
        raise UsageError(
            f"posterior {names['posterior']!r} draws latents in {posterior.support}, but prior {names['prior']!r} "
            f"has its density on {prior.support}",
            hint=f"choose a prior on {posterior.support}: genmod list prior",
        )
    follows = posterior.wants_joint or posterior.wants_prior
    if follows and not prior.has_density:
        raise UsageError(
            f"posterior {names['posterior']!r} follows the density of the prior, and prior {names['prior']!r} has none",
            hint=f"choose a prior that has one: --prior {USUAL['prior']}",
        )
    if follows and type(prior).bind is not Part.bind:
        raise UsageError(
            f"posterior {names['posterior']!r} follows the density of prior {names['prior']!r}, which is itself made of the "
            "model",
            hint=f"choose another prior: --prior {USUAL['prior']}",
        )
    outside = _outside(decoder.support, decoder.observed)
    if outside is not None:
        raise UsageError(
            f"decoder {names['decoder']!r} has a density on {decoder.support}, but the data have values such as {outside:g}",
            hint=f"choose a decoder for such data, for example {REAL_VALUES}",
        )


def check_losses(model: LatentVariableModel) -> None:
    """Whether objective and divergence fit the other parts, whose supports fit each other.

    Raises:
        UsageError: they do not; the hint says what to choose instead.
    """
    names = {kind: part.name for kind, part in model.spec.components.items()}
    posterior, prior = model.posterior, model.prior
    objective, divergence = model.objective, model.divergence
    if divergence.needs_prior and not objective.uses_divergence:
        raise UsageError(
            f"objective {names['objective']!r} would ignore divergence {names['divergence']!r}",
            hint=f"choose {IGNORED}, or {BOUND}",
        )
    parts = () if objective.hands_out_draws else model.named_children()
    if adding := [kind for kind, part in parts if adds_losses(part)]:
        raise UsageError(
            f"{adding[0]} {names[adding[0]]!r} adds a loss at the latents that the objective draws, and objective "
            f"{names['objective']!r} hands out none",
            hint=f"choose {BOUND}, or {RECONSTRUCTION}",
        )
    without = model.missing_densities()
    if objective.needs_densities and without:
        raise UsageError(
            f"objective {names['objective']!r} needs densities, but {without.removeprefix('its ')}",
            hint=f"choose parts that have one ({NORMAL_LATENTS}), or {RECONSTRUCTION}",
        )
    if divergence.needs_densities and not (posterior.has_density and prior.has_density):
        raise UsageError(
            f"divergence {names['divergence']!r} needs densities, but {without.removeprefix('its ')}",
            hint=f"choose {IGNORED}, or {NORMAL_LATENTS}",
        )


def _outside(support: Constraint, data: DataInfo) -> float | None:
    """A value that the data may take and the support does not have, if there is one."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    low, high = max(data.low, -1e6), min(data.high, 1e6)
    points = torch.linspace(low, high, min(data.levels or 3, 4096), dtype=torch.float64, device="cpu")
    inside = support.check(points)
    return None if bool(inside.all()) else float(points[~inside][0])
