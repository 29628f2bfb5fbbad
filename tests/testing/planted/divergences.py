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
from genmod.system import gather_batch
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


@caught_by("check_kl")
class MeanOverLatents(ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return kl_divergence(q, p) / q.event_shape.numel()


@caught_by("check_kl")
class SizeOfTheRatio(_Base):
    """The mean of ``|log q - log p|``, which is not that of ``log q - log p``; UsageError."""

    is_kl = True

    def forward(self, q, p, z):
        return (q.log_prob(z) - p.log_prob(z)).abs().mean(0)


@caught_by("check_number_of_draws")
class NeverBelowZero(_Base):
    """An estimate that is clamped is too high where draws are few; UsageError."""

    def forward(self, q, p, z):
        return super().forward(q, p, z).clamp(min=0)


@caught_by("check_divergence_gradient")
class DetachedKL(ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return kl_divergence(q, p).detach()


@caught_by("check_divergence_gradient")
class ForgetsTheDraws(_Base):
    """Gradients reach the density of q, and not its draws; UsageError."""

    is_kl = True

    def forward(self, q, p, z):
        return super().forward(q, p, z.detach())


@caught_by("check_divergence_gradient")
class HalfOfTheRatio(_Base):
    is_kl = True

    def forward(self, q, p, z):
        return (q.log_prob(z) - p.log_prob(z).detach()).mean(0)


@caught_by("check_batch_independence", "check_batch_size", "check_not_negative", "check_zero_at_equality")
class UndeclaredStatistics(_Base):
    """It is the same for all examples, and does not say so; UsageError."""

    def forward(self, q, p, z):
        return super().forward(q, p, z).mean().expand(z.shape[1])


class _OfBatch(Divergence):
    """The squared distance of the mean code from that of the prior, without bias of its own draws."""

    batch_statistics = "global"

    def forward(self, q, p, z):
        return self.number(gather_batch(z[0].flatten(1)), p).expand(z.shape[1])

    def number(self, codes, p):
        centred = codes.mean(0)
        spread = codes.var(0, correction=1)
        return (centred.square() - spread / len(codes)).sum() + (spread - 1).square().sum()


@caught_by("check_batch_divergence")
class FallsWithTheDistance(_OfBatch):
    def number(self, codes, p):
        return -codes.square().sum(1).mean() - 7


@caught_by("check_batch_divergence")
class LeavesAConstantOfTheBatch(_OfBatch):
    def number(self, codes, p):
        return super().number(codes, p) + 7


@caught_by("check_batch_divergence")
class SeesNothing(_OfBatch):
    def number(self, codes, p):
        return 1 + (codes.tanh() * 1e-9).mean()


@caught_by("check_divergence_gradient")
class DetachesTheBatch(_OfBatch):
    def number(self, codes, p):
        return super().number(codes.detach(), p)


@caught_by("check_processes")
class GathersNothing(_OfBatch):
    def forward(self, q, p, z):
        return self.number(z[0].flatten(1), p).expand(z.shape[1])
