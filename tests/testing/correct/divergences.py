"""Right divergences."""

import torch
from torch.distributions import kl_divergence

from correct import right
from genmod import Divergence, UndefinedError
from genmod.system import batch_mean, gather_batch


@right()
class ManyMoreDraws(Divergence):
    """The KL by draws of its own, beside those it is given."""

    is_kl = True

    def forward(self, q, p, z):
        z = torch.cat([z, q.rsample((3,))])
        return (q.log_prob(z) - p.log_prob(z)).mean(0)


@right()
class TwiceTheKL(Divergence):
    """Weighted, and so no KL."""

    def check(self, q, p):
        _closed(q, p)

    def forward(self, q, p, z):
        return 2 * kl_divergence(q, p)


@right()
class SkewJensenShannon(Divergence):
    """The KL from the middle of q and p, by draws: never above log 2."""

    is_kl = False

    def forward(self, q, p, z):
        log_q, log_p = q.log_prob(z), p.log_prob(z)
        middle = torch.stack([log_q, log_p]).logsumexp(0) - torch.tensor(2.0).log().to(log_q)
        return (log_q - middle).mean(0)


@right(always=True)
class EnergyDistance(Divergence):
    """``2 E|z - y| - E|z - z'| - E|y - y'|`` of the codes of the batch and draws of the prior, without bias."""

    batch_statistics = "global"

    def check(self, q, p):
        if not p.has_rsample:
            raise UndefinedError("the prior has no draws with a gradient", hint="choose --prior normal")

    def forward(self, q, p, z):
        y = p.rsample(z.shape[:2] if not p.batch_shape else z.shape[:1])
        z_all, y_all = (gather_batch(t.flatten(2).transpose(0, 1)).transpose(0, 1) for t in (z, y))
        n = z_all.shape[1]

        def inside(t):
            return _distances(t, t).sum((1, 2)) / max(n * (n - 1), 1)

        value = 2 * _distances(z_all, y_all).mean((1, 2)) - inside(z_all) - inside(y_all)
        return value.mean().expand(z.shape[1])


@right()
class MeanOfTheBatch(Divergence):
    """The squared distance of the mean code from 0: a penalty for priors around it."""

    batch_statistics = "global"

    def forward(self, q, p, z):
        value = batch_mean(z.flatten(2).transpose(0, 1)).square().sum(1).mean()
        return value.expand(z.shape[1])


def _closed(q, p):
    try:
        kl_divergence(q, p)
    except NotImplementedError:
        raise UndefinedError("no closed form is known", hint="choose --divergence kl-mc") from None


def _distances(a, b):
    return ((a[:, :, None] - b[:, None]).square().sum(3) + 1e-12).sqrt() - 1e-6
