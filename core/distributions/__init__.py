"""Distributions that torch lacks, their supports, how KLs fall apart, and gradients through draws."""

from genmod.distributions.gradients import through_draws, with_gradient_of
from genmod.distributions.kl import (
    by_part,
    by_variable,
    known_kl,
    name_of,
    parts_of,
    register_kl_by_part,
    register_kl_by_variable,
    variables_of,
)
from genmod.distributions.log_gamma import deviance, factorial_excess, precise
from genmod.distributions.marginal import Marginal
from genmod.distributions.normal import (
    LogScaleNormal,
    PreciseBeta,
    PreciseDirichlet,
    PreciseGamma,
    StandardNormal,
    bounded_log_scale,
    diagonal_normal,
    standard_normal,
)
from genmod.distributions.probing import same_support
from genmod.distributions.support import Piece, Space, Unit

__all__ = [
    "LogScaleNormal",
    "Marginal",
    "Piece",
    "PreciseBeta",
    "PreciseDirichlet",
    "PreciseGamma",
    "Space",
    "StandardNormal",
    "Unit",
    "bounded_log_scale",
    "by_part",
    "by_variable",
    "deviance",
    "diagonal_normal",
    "factorial_excess",
    "known_kl",
    "name_of",
    "parts_of",
    "precise",
    "register_kl_by_part",
    "register_kl_by_variable",
    "same_support",
    "standard_normal",
    "through_draws",
    "variables_of",
    "with_gradient_of",
]
