"""The formulas of docs/mathematics.md, worked out as they stand there, against what the components compute."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.special import betaln, expit, gammaln, logsumexp
from torch.distributions import kl_divergence

from genmod import DataInfo, diagonal_normal
from genmod.plugins.decoders.bernoulli import BinaryValues
from genmod.plugins.decoders.beta import BetaDecoder
from genmod.plugins.decoders.categorical import LevelCategorical
from genmod.plugins.decoders.continuous_bernoulli import ContinuousBernoulli
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic
from genmod.plugins.decoders.discretized_logistic_mixture import DiscretizedLogisticMixture
from genmod.plugins.decoders.gaussian_mixture import GaussianMixtureDecoder
from genmod.plugins.decoders.laplace import LaplaceDecoder
from genmod.plugins.decoders.negative_binomial import MeanNegativeBinomial
from genmod.plugins.decoders.poisson import LogRatePoisson
from genmod.plugins.decoders.student_t import StudentT
from genmod.plugins.decoders.zero_inflated_negative_binomial import ZeroInflated
from genmod.plugins.divergences.renyi import Renyi
from genmod.plugins.divergences.wasserstein2 import Wasserstein2
from genmod.plugins.posteriors._sphere import log_area
from genmod.plugins.posteriors.power_spherical import PowerSpherical
from genmod.plugins.posteriors.vmf import VonMisesFisher
from genmod.plugins.posteriors.wrapped_normal import WrappedNormal
from genmod.plugins.priors.dirichlet import DirichletPrior

PAGE = (Path(__file__).parents[2] / "docs" / "mathematics.md").read_text(encoding="utf-8")
REAL = DataInfo((1,), low=-math.inf, high=math.inf)
LEVELS = 9
GREY = DataInfo((1,), levels=LEVELS)
X, MU, S, NU, L, A, R, G = 0.3, -0.2, 0.7, 3.5, 0.9, 1.7, 1.9, 0.4
K = 3
"""A level, and a count."""


def t(value):
    return torch.tensor(value, dtype=torch.float64)


def normal(x, mu, s):
    return -0.5 * ((x - mu) / s) ** 2 - np.log(s) - 0.5 * np.log(2 * np.pi)


def cell(mu, s):
    """``σ(t₊) - σ(t₋)`` of level K, which is no outer one."""
    above, below = (((2 * K + sign) / (LEVELS - 1) - 1 - mu) / s for sign in (1, -1))
    return expit(above) - expit(below)


def counts(mu, r):
    return gammaln(K + r) - gammaln(r) - gammaln(K + 1) - r * np.log(1 + mu / r) - K * np.log(1 + r / mu)


def beta():
    """The decoder's own concentrations, in the formula."""
    p = BetaDecoder(DataInfo((1,), levels=256))(torch.randn(2, 1, dtype=torch.float64))
    a, b = p.base_dist.concentration1.item(), p.base_dist.concentration0.item()
    return p.log_prob(t([X])), (a - 1) * np.log(X) + (b - 1) * np.log(1 - X) - betaln(a, b)


def scaled(decoder, formula):
    parameters = torch.randn(2, 1, dtype=torch.float64)
    loc, log_scale = decoder.scale(parameters)
    return decoder(parameters).log_prob(t([X])), formula(loc.item(), log_scale.exp().item())


def mixture():
    decoder = GaussianMixtureDecoder(REAL, components=2).double()
    base = decoder(torch.randn(3, 2, 1, dtype=torch.float64))
    parts = base.base_dist
    means, scales = (
        each.detach().numpy().ravel()
        for each in (parts.component_distribution.mean, parts.component_distribution.stddev)
    )
    shares = parts.mixture_distribution.probs.detach().numpy().ravel()
    return base.log_prob(t([X])), logsumexp(normal(X, means, scales), b=shares)


LOGITS = np.linspace(-1, 1, LEVELS) ** 3
LIKELIHOODS = {
    "bernoulli": lambda: (BinaryValues(t([L]), 1).log_prob(t([1.0])), L - np.log(1 + np.exp(L))),
    "continuous-bernoulli": lambda: (
        ContinuousBernoulli(t(L)).log_prob(t(X)),
        L * (X - 0.5) + np.log(L / 2 / np.sinh(L / 2)),
    ),
    "beta": beta,
    "gaussian": lambda: (diagonal_normal(t([MU]), t([math.log(S)]), 1).log_prob(t([X])), normal(X, MU, S)),
    "laplace": lambda: scaled(
        LaplaceDecoder(REAL, scale="per-pixel"), lambda mu, s: -abs(X - mu) / s - np.log(s) - np.log(2)
    ),
    "student-t": lambda: (
        StudentT(t(NU), t(MU), t(math.log(S))).log_prob(t(X)),
        -(NU + 1) / 2 * np.log(1 + ((X - MU) / S) ** 2 / NU)
        - np.log(S)
        + gammaln((NU + 1) / 2)
        - gammaln(NU / 2)
        - 0.5 * np.log(NU * np.pi),
    ),
    "gaussian-mixture": mixture,
    "categorical": lambda: (
        LevelCategorical(t(LOGITS.tolist()), GREY).log_prob(t(K / (LEVELS - 1))),
        LOGITS[K] - logsumexp(LOGITS),
    ),
    "discretized-logistic": lambda: (
        DiscretizedLogistic(t(MU), t(math.log(S)), GREY).log_prob(t(K / (LEVELS - 1))),
        np.log(cell(MU, S)),
    ),
    "discretized-logistic-mixture": lambda: (
        DiscretizedLogisticMixture(
            t([0.0, math.log(3)]), DiscretizedLogistic(t([MU, X]), t([math.log(S), 0.0]), GREY)
        ).log_prob(t(K / (LEVELS - 1))),
        np.log(0.25 * cell(MU, S) + 0.75 * cell(X, 1.0)),
    ),
    "poisson": lambda: (LogRatePoisson(t(L)).log_prob(t(float(K))), K * L - np.exp(L) - gammaln(K + 1)),
    "negative-binomial": lambda: (
        MeanNegativeBinomial(t(math.log(A)), t(math.log(R))).log_prob(t(float(K))),
        counts(A, R),
    ),
    "zero-inflated-negative-binomial": lambda: (
        ZeroInflated(t(G), MeanNegativeBinomial(t(math.log(A)), t(math.log(R)))).log_prob(t(float(K))),
        np.log(expit(-G)) + counts(A, R),
    ),
}


def test_each_likelihood_of_the_page_is_here():
    table = PAGE.partition("## Likelihoods")[2].partition("\nWith `scale")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(LIKELIHOODS)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods(name):
    computed, formula = LIKELIHOODS[name]()
    assert computed.item() == pytest.approx(formula.item(), rel=1e-10)


def test_closed_divergences_of_normals():
    p, q = (diagonal_normal(t([m]), t([math.log(s)]), 1) for m, s in ((X, A), (MU, S)))
    ell, mu = math.log(S / A), (MU - X) / A
    kl = 0.5 * (math.exp(2 * ell) - 1 - 2 * ell + mu**2)
    assert kl_divergence(q, p).item() == pytest.approx(kl, rel=1e-12)
    alpha, z = 0.3, np.linspace(-30, 30, 200_001)
    density = [np.exp(normal(z, *each)) for each in ((MU, S), (X, A))]
    integral = trapezoid(density[0] ** alpha * density[1] ** (1 - alpha), z)
    batch = q.expand((1,))
    found = Renyi(alpha=alpha)(batch, p, batch.sample((1,)))
    assert found.item() == pytest.approx(math.log(integral) / (alpha - 1), rel=1e-8)
    w2 = (MU - X) ** 2 + S**2 + A**2 - 2 * math.sqrt(A**2 * S**2)
    assert Wasserstein2()(batch, p, batch.sample((1,))).item() == pytest.approx(w2, rel=1e-10)


@pytest.mark.parametrize("d", [3, 6])
def test_the_sphere(d):
    area = [math.log(2) + n / 2 * math.log(math.pi) - gammaln(n / 2) for n in (d - 1, d)]
    assert [log_area(d - 1), log_area(d)] == pytest.approx(area)
    mu, z = (torch.nn.functional.normalize(torch.randn(d, dtype=torch.float64), dim=0) for _ in range(2))
    along, kappa = (mu @ z).item(), 2.3
    angle = np.linspace(0, np.pi, 100_001)
    integral = trapezoid(np.exp(kappa * (np.cos(angle) - 1)) * np.sin(angle) ** (d - 2), angle)
    vmf = kappa * (along - 1) - math.log(integral) - area[0]
    assert VonMisesFisher(mu, t(kappa)).log_prob(z).item() == pytest.approx(vmf, rel=1e-7)
    b = (d - 1) / 2
    a = b + kappa
    power = kappa * math.log(1 + along) - (a + b) * math.log(2) - gammaln(a) + gammaln(a + b)
    power -= b * math.log(math.pi)
    assert PowerSpherical(mu, t(kappa)).log_prob(z).item() == pytest.approx(power, rel=1e-10)


def test_the_ball():
    c, d = 0.8, 3
    mu, z, log_scale = t([0.3, -0.2, 0.4]), t([-0.1, 0.5, 0.2]), t([0.1, -0.3, 0.2])

    # Gyrovector formulas of the ball: v = λ log_μ(z), and the distance.
    def add(x, y):
        xy, xx, yy = x @ y, x @ x, y @ y
        return ((1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * xy + c * c * xx * yy)

    between = add(-mu, z)
    length = between.norm()
    r = 2 / math.sqrt(c) * torch.atanh(math.sqrt(c) * length)
    # log_μ(z) has the length r in the metric at μ, which λ times it has in coordinates.
    v = r * between / length
    log_normal = (-0.5 * (v / log_scale.exp()) ** 2 - log_scale - 0.5 * math.log(2 * math.pi)).sum()
    stretch = math.sqrt(c) * r
    formula = (
        log_normal + (d - 1) * torch.log(stretch / torch.sinh(stretch)) + d * torch.log(2 / (1 - c * z @ z))
    )
    assert WrappedNormal(mu, log_scale, c).log_prob(z).item() == pytest.approx(formula.item(), rel=1e-9)


def test_dirichlet():
    k, alpha = 4, 0.6
    z = torch.softmax(torch.randn(k, dtype=torch.float64), 0)
    formula = gammaln(k * alpha) - k * gammaln(alpha) + (alpha - 1) * z.log().sum().item()
    prior = DirichletPrior((k,), concentration=alpha)
    assert prior().log_prob(z.float()).item() == pytest.approx(formula, rel=1e-5)
