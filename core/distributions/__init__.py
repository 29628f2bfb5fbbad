"""Distributions that torch lacks, their supports, KL divergences taken apart, and gradients through draws."""

from genmod.distributions.gradients import through_draws, with_gradient_of
from genmod.distributions.kl import (
    by_part,
    by_variable,
    known_kl,
    name_of,
    parts_of,
    register_kl_by_part,
    register_kl_by_variable,
)
from genmod.distributions.marginal import Marginal
from genmod.distributions.normal import LogScaleNormal, bounded_log_scale, diagonal_normal, standard_normal
from genmod.distributions.support import Space, Unit

__all__ = [
    "LogScaleNormal",
    "Marginal",
    "Space",
    "Unit",
    "bounded_log_scale",
    "by_part",
    "by_variable",
    "diagonal_normal",
    "known_kl",
    "name_of",
    "parts_of",
    "register_kl_by_part",
    "register_kl_by_variable",
    "standard_normal",
    "through_draws",
    "with_gradient_of",
]
