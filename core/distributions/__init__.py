"""Distributions that torch lacks, their supports, and gradients through draws."""

from genmod.distributions.gradients import through_draws, with_gradient_of
from genmod.distributions.marginal import Marginal
from genmod.distributions.normal import LogScaleNormal, bounded_log_scale, diagonal_normal, standard_normal

__all__ = [
    "LogScaleNormal",
    "Marginal",
    "bounded_log_scale",
    "diagonal_normal",
    "standard_normal",
    "through_draws",
    "with_gradient_of",
]
