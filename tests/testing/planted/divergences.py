"""Faults: divergences."""

from torch.distributions import (
    Independent,
    kl_divergence,
)
from torch.distributions.kl import register_kl

from genmod import (
    Divergence,
)
from genmod.distributions.normal import LogScaleNormal
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.posterior import TemplatePosterior
from planted import caught_by
from planted.shapes import ClosedForm


class _Tilted(LogScaleNormal):
    def expand(self, batch_shape, _instance=None):
        return _Tilted(self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), validate_args=False)


@register_kl(_Tilted, LogScaleNormal)
def _kl_without_the_half(q, p):
    ratio = 2 * (q.log_scale - p.log_scale)
    return ratio.exp() - 1 - ratio + ((q.loc - p.loc) / p.scale) ** 2


@caught_by("check_closed_form_kl")
class RegistersAWrongKL(TemplatePosterior):
    def forward(self, features):
        right = super().forward(features).base_dist
        return Independent(_Tilted(right.loc, right.log_scale, validate_args=False), len(self.latent_shape))


class _Base(Divergence):
    """A Monte-Carlo estimate, right as it is."""

    def forward(self, q, p, z):
        return (q.log_prob(z) - p.log_prob(z)).mean(0)


@caught_by("check_kl")
class KLWithoutTheHalf(ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return 2 * kl_divergence(q, p)


@caught_by("check_kl")
class ReverseKL(ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return kl_divergence(p, q)


@caught_by("check_not_negative")
class WrongSign(_Base):
    def forward(self, q, p, z):
        return -super().forward(q, p, z)


@caught_by("check_zero_at_equality")
class LeavesAConstant(TemplateDivergence):
    def forward(self, q, p, z):
        return super().forward(q, p, z) + 0.1


@caught_by("check_number_of_draws")
class SumsOverDraws(_Base):
    def forward(self, q, p, z):
        return super().forward(q, p, z) * len(z)


@caught_by("check_by_dimension")
class PartsThatDoNotAddUp(TemplateDivergence):
    def by_dimension(self, q, p, z):
        return kl_divergence(q.base_dist, p.base_dist)
