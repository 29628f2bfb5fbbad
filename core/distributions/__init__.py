"""Distributions that torch lacks, their supports, and gradients through draws."""

from genmod.distributions.normal import LogScaleNormal, bounded_log_scale, diagonal_normal

__all__ = [
    "LogScaleNormal",
    "bounded_log_scale",
    "diagonal_normal",
]
