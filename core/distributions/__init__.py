"""Distributions that torch lacks, their supports, how KLs fall apart, and gradients through draws."""

from genmod.distributions.codes import Codebook, Coded, CodedPrior, InCodebook, IntegerCodes
from genmod.distributions.coordinates import Coordinates, contrasts, coordinates
from genmod.distributions.gradients import refuse_draws_alone, through_draws, with_gradient_of
from genmod.distributions.implicit import Implicit
from genmod.distributions.kl import (
    by_part,
    by_variable,
    known_kl,
    name_of,
    own_reason,
    parts_of,
    register_kl_by_part,
    register_kl_by_variable,
    variables_of,
)
from genmod.distributions.log_gamma import deviance, factorial_excess, log_gamma_draws, precise
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
from genmod.distributions.point import PointMass
from genmod.distributions.probing import same_support
from genmod.distributions.support import Piece, Space, Unit
from genmod.distributions.unvalidated import unvalidated
from genmod.system.draws import (
    Drawn,
    beside,
    changed,
    drawn,
    drawn_by_log,
    drawn_by_logit,
    drawn_on_simplex,
    kept_beside,
    kept_of,
    log_of,
    logit_of,
    own_of,
    plain,
)

__all__ = [
    "Codebook",
    "Coded",
    "CodedPrior",
    "Coordinates",
    "Drawn",
    "Implicit",
    "InCodebook",
    "IntegerCodes",
    "LogScaleNormal",
    "Marginal",
    "Piece",
    "PointMass",
    "PreciseBeta",
    "PreciseDirichlet",
    "PreciseGamma",
    "Space",
    "StandardNormal",
    "Unit",
    "beside",
    "bounded_log_scale",
    "by_part",
    "by_variable",
    "changed",
    "contrasts",
    "coordinates",
    "deviance",
    "diagonal_normal",
    "drawn",
    "drawn_by_log",
    "drawn_by_logit",
    "drawn_on_simplex",
    "factorial_excess",
    "kept_beside",
    "kept_of",
    "known_kl",
    "log_gamma_draws",
    "log_of",
    "logit_of",
    "name_of",
    "own_of",
    "own_reason",
    "parts_of",
    "plain",
    "precise",
    "refuse_draws_alone",
    "register_kl_by_part",
    "register_kl_by_variable",
    "same_support",
    "standard_normal",
    "through_draws",
    "unvalidated",
    "variables_of",
    "with_gradient_of",
]
