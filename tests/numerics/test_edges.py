"""Rates where draws are rounded: against quadrature, closed forms, and mathematics in other coordinates."""

import mpmath
import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import Independent, kl_divergence

from genmod import Batch, DataInfo, TensorSplit, build, compose, diagonal_normal, evaluate
from genmod.distributions import PreciseDirichlet, PreciseGamma
from genmod.model.assembly import assemble
from genmod.plugins.divergences.jeffreys import Jeffreys
from genmod.plugins.divergences.kl_mc import MonteCarloKL
from genmod.plugins.divergences.reverse_kl import ReverseKL
from genmod.plugins.divergences.tc import TotalCorrelation
from genmod.plugins.posteriors._bits import RelaxedBit
from genmod.plugins.posteriors._simplex import RelaxedOneHot
from genmod.plugins.posteriors.logistic_normal import LogisticNormal, contrasts
from genmod.plugins.posteriors.normal_full import CorrelatedNormal
from genmod.plugins.posteriors.wrapped_normal import WrappedNormal
from genmod.plugins.priors.gamma import GammaPrior

N = 20_000


def mean_of(ratios):
    """Mean and standard error over the draws."""
    ratios = ratios.double()
    return ratios.mean(0), ratios.std(0) / len(ratios) ** 0.5


def kl_of_a_bit(logit, temperature, prior_temperature):
    """By quadrature over the noise, in fifty digits, from the density of the logistic distribution."""
    with mpmath.workdps(50):
        own, t, s = map(mpmath.mpf, (logit, temperature, prior_temperature))

        def log_logistic(x):
            return -x - 2 * mpmath.log(1 + mpmath.exp(-x))

        def ratio(g):
            u = (own + g) / t
            return mpmath.exp(log_logistic(g)) * (
                mpmath.log(t) + log_logistic(t * u - own) - mpmath.log(s) - log_logistic(s * u)
            )

        return float(mpmath.quad(ratio, [-90, -30, -8, -2, 2, 8, 30, 90]))


@pytest.mark.parametrize(("logit", "kl"), [(8, 6.005), (12, 10.000), (20, 18.000)])
def test_the_rate_of_one_bit(logit, kl):
    """At temperature 0.5; scored at the clamp these were 5.74, 4.5 and -3.4."""
    assert kl_of_a_bit(logit, 0.5, 0.5) == pytest.approx(kl, abs=1e-3)
    q, p = bits(torch.full((1, 1), float(logit)), 0.5), bits(torch.zeros(1), 0.5)
    values = torch.stack([MonteCarloKL(samples=500)(q, p, q.rsample((1,))) for _ in range(40)])
    mean, error = mean_of(values)
    assert abs(mean.item() - kl) < 4.5 * error.item() + 1e-3


def bits(logits, temperature):
    return Independent(RelaxedBit(logits, temperature), 1, validate_args=False)


@pytest.mark.parametrize("temperatures", [(0.1, 0.1), (0.5, 0.1), (0.1, 0.5), (1.0, 2 / 3), (0.02, 0.5)])
@pytest.mark.parametrize("logit", [0.0, -5.0, 30.0, 300.0])
def test_relaxed_bits(logit, temperatures):
    q, p = RelaxedBit(torch.tensor([logit]), temperatures[0]), RelaxedBit(torch.zeros(()), temperatures[1])
    z = q.sample((N,))
    mean, error = mean_of(q.log_prob(z) - p.log_prob(z))
    expected = kl_of_a_bit(logit, *temperatures)
    assert abs(mean.item() - expected) < 4.5 * error.item() + 1e-4 * (1 + abs(expected))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_relaxed_classes(size, temperature):
    """Against other draws in double precision, with the density written for ``log z``."""
    k, s = 5, 0.5
    logits = (size * torch.randn(k)).log_softmax(-1)
    q, p = RelaxedOneHot(logits, temperature, 1), RelaxedOneHot(torch.zeros(k), s, 1)
    z = q.sample((N,))
    mean, error = mean_of(q.log_prob(z) - p.log_prob(z))
    own = logits.double().numpy()
    log_z = special.log_softmax((own + np.random.default_rng(0).gumbel(size=(N, k))) / temperature, -1)

    def density(logits, t):
        a = logits - t * log_z
        return (k - 1) * np.log(t) + (a - log_z).sum(-1) - k * special.logsumexp(a, -1)

    other = density(own, temperature) - density(special.log_softmax(np.zeros(k)), s)
    apart = abs(mean.item() - other.mean())
    assert apart < 4.5 * np.hypot(error.item(), other.std() / N**0.5) + 1e-4 * abs(other.mean())


@pytest.mark.parametrize("concentration", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("log_scale", [-9.0, 0.0, 2.0, 5.0, 9.0])
def test_logistic_normal_and_dirichlet(log_scale, concentration):
    """``E[log q] = -H(u) - E[Σ log z] - ½ log K``, and ``E[log p]`` from the same logarithms, in double precision."""
    k, loc = 4, np.array([3.0, -8.0, 0.5])
    basis = contrasts(k)
    scales = torch.full((3,), log_scale)
    q = LogisticNormal(torch.tensor(loc).float(), scales, basis, 1)
    p = PreciseDirichlet(torch.full((k,), concentration))
    z = q.sample((N,))
    mean, error = mean_of(q.log_prob(z) - p.log_prob(z))
    u = loc + np.exp(log_scale) * np.random.default_rng(0).normal(size=(N, 3))
    log_z = special.log_softmax(u @ basis.double().numpy().T, -1).sum(-1)
    entropy = stats.norm(scale=np.exp(log_scale)).entropy() * 3
    constant = special.gammaln(k * concentration) - k * special.gammaln(concentration)
    other = -entropy - 0.5 * np.log(k) - constant - concentration * log_z
    apart = abs(mean.item() - other.mean())
    assert apart < 4.5 * np.hypot(error.item(), other.std() / N**0.5) + 1e-4 * abs(other.mean())


def log_ratio_on_the_hyperboloid(steps, loc, scales):
    """``log q - log p`` of draws, by the inner product of Lorentz, in so many digits that no cosh overflows them."""
    n, found = len(loc), []
    with mpmath.workdps(600):
        loc = [mpmath.mpf(float(x)) for x in loc]
        square = sum(x * x for x in loc)
        # From the ball to the hyperboloid.
        centre = [(1 + square) / (1 - square), *(2 * x / (1 - square) for x in loc)]
        for step in steps:
            v = [mpmath.mpf(float(x)) for x in step]
            r = mpmath.sqrt(sum(x * x for x in v))
            # Transported from the origin along the geodesic, then followed.
            tangent = [mpmath.mpf(0), *v]
            inner = sum(a * b for a, b in zip(centre[1:], tangent[1:], strict=True))
            factor = inner / (1 + centre[0])
            moved = [t + factor * (c + o) for t, c, o in zip(tangent, centre, [1] + [0] * n, strict=True)]
            z = [mpmath.cosh(r) * c + mpmath.sinh(r) / r * t for c, t in zip(centre, moved, strict=True)]
            far = mpmath.acosh(z[0])

            def log_density(norm_square, distance, scale_sum, n=n):
                return -norm_square / 2 - scale_sum - (n - 1) * mpmath.log(mpmath.sinh(distance) / distance)

            standard = sum((x / mpmath.mpf(float(s))) ** 2 for x, s in zip(v, scales, strict=True))
            log_q = log_density(standard, r, sum(mpmath.log(float(s)) for s in scales))
            found.append(float(log_q - log_density(far * far, far, 0)))
    return np.array(found)


@pytest.mark.parametrize("scale", [0.02, 1.0, 8.0, 54.0])
@pytest.mark.parametrize("far", [0.0, 2.0, 8.0])
@pytest.mark.parametrize("n", [2, 5])
def test_wrapped_normals(n, far, scale):
    """Draw by draw, where the ball has long run out of numbers; the prior is the standard one."""
    direction = torch.nn.functional.normalize(torch.randn(n), dim=0)
    loc = np.tanh(far / 2) * direction
    scales = torch.full((n,), scale) * torch.linspace(1.0, 0.6, n)
    q = WrappedNormal(loc, scales.log(), 1.0)
    p = WrappedNormal(torch.zeros(n), torch.zeros(n), 1.0)
    torch.manual_seed(7)
    z = q.sample((25,))
    torch.manual_seed(7)
    steps = diagonal_normal(torch.zeros(n), scales.log(), 1).sample((25,))
    expected = log_ratio_on_the_hyperboloid(
        steps.double().numpy(), loc.double().numpy(), scales.double().numpy()
    )
    found = (q.log_prob(z) - p.log_prob(z)).double().numpy()
    np.testing.assert_allclose(found, expected, rtol=3e-5, atol=3e-3)


@pytest.mark.parametrize("size", [1.0, 9.0])
def test_normals_with_strong_correlations(size):
    """Solving for the noise of a draw lost all digits: rates of -1e+23."""
    n = 24
    q = CorrelatedNormal(torch.randn(n), torch.randn(n), size * torch.randn(n, n).sign(), 1)
    p = diagonal_normal(torch.zeros(n), torch.zeros(n), 1)
    z = q.rsample((N,))
    mean, error = mean_of(q.log_prob(z) - p.log_prob(z))
    assert abs(mean.item() - kl_divergence(q, p).item()) < 4.5 * error.item()


@pytest.mark.parametrize("a", [1e-3, 0.01, 0.2, 1.0, 50.0])
def test_draws_of_priors_with_small_concentrations(a):
    """``KL(p ‖ q)`` from draws of the prior, of which most would be zero."""
    p = GammaPrior((1,), concentration=a)()
    q = Independent(PreciseGamma(torch.full((1, 1), 2.0), torch.ones(1, 1)), 1)
    mean, error = mean_of(torch.stack([ReverseKL(samples=500)(q, p, None) for _ in range(40)]))
    assert abs(mean.item() - kl_divergence(p, q).item()) < 4.5 * error.item()
    p, q = PreciseDirichlet(torch.full((4,), a)), PreciseDirichlet(torch.full((4,), 0.5))
    z = p.sample((N,))
    mean, error = mean_of(p.log_prob(z) - q.log_prob(z))
    assert abs(mean.item() - kl_divergence(p, q).item()) < 4.5 * error.item() + 1e-5


@pytest.mark.parametrize("name", ["jeffreys", "tc", "reverse"])
def test_other_divergences(name):
    """Of three bits with logits of 25, at temperature 0.2."""
    logits = torch.tensor([[25.0, -25.0, 25.0]])
    q, p = bits(logits, 0.2), bits(torch.zeros(3), 0.2)
    forward = 3 * kl_of_a_bit(25, 0.2, 0.2)
    # From logits of 0 to those of 25: the prior's draws under the posterior.
    back = 3 * kl_of_a_bit_from(25)
    part, expected = {
        "jeffreys": (Jeffreys(samples=400), forward + back),
        "tc": (TotalCorrelation(alpha=1.0, beta=1.0, gamma=1.0), forward),
        "reverse": (ReverseKL(samples=400), back),
    }[name]
    mean, error = mean_of(torch.stack([part(q, p, q.rsample((200,))) for _ in range(60)]))
    assert abs(mean.item() - expected) < 4.5 * error.item() + 1e-3


def kl_of_a_bit_from(logit):
    """``KL(p ‖ q)`` of a bit with logit 0 from one with another, both of one temperature, which then does not count."""
    with mpmath.workdps(50):

        def log_logistic(x):
            return -x - 2 * mpmath.log(1 + mpmath.exp(-x))

        return float(
            mpmath.quad(
                lambda g: mpmath.exp(log_logistic(g)) * (log_logistic(g) - log_logistic(g - logit)),
                [-90, -30, -8, 0, 8, 30, 90],
            )
        )


@pytest.mark.parametrize("objective", ["elbo", "iwae", "dreg", "stl", "vr", "miwae", "piwae", "ciwae"])
def test_objectives_report_the_rate(objective):
    """Of 24 latents at logits of ±30; the bound on binary data stays below zero."""
    model = far_out(objective)
    x = (torch.rand(64, 1, 8, 8) > 0.5).float()
    rates = torch.stack([model.terms(x).values["rate"] for _ in range(30)]).detach()
    mean, error = mean_of(rates.mean(1))
    expected = 24 * kl_of_a_bit(30, 0.1, 0.1)
    assert abs(mean.item() - expected) < 4.5 * error.item() + 0.01
    for name, value in model.terms(x).values.items():
        if name in ("elbo", "iwae", "miwae", "vr"):
            assert value.max() < 0, name


def far_out(objective="elbo", posterior="relaxed-bernoulli", **options):
    """A model whose posterior has logits of ±30 whatever the example."""
    options = {"temperature": 0.1, **options}
    model = build(
        encoder={"name": "mlp", "hidden": [8]},
        posterior={"name": posterior, **options},
        prior={"name": "relaxed-bernoulli", "temperature": 0.1},
        divergence="kl-mc" if objective == "elbo" else "none",
        objective=objective,
        decoder={"name": "bernoulli", "binarize": "threshold"},
        latent=24,
    ).eval()
    with torch.no_grad():
        model.posterior.head.weight.zero_()
        model.posterior.head.bias.copy_(30 * (1 - 2 * (torch.arange(24) % 2)))
    return model


def test_gradient_of_the_path_is_that_of_the_logit():
    """STL and DReG hold the density fixed and move the draw: of q = p no gradient is left, even at the edge."""
    logits = torch.full((1, 3), 50.0, requires_grad=True)
    q, p = bits(logits, 0.1), bits(torch.full((3,), 50.0), 0.1)
    value = MonteCarloKL(sticking_the_landing=True)(q, p, q.rsample((100,)))
    assert value.abs().max() < 1e-3
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert gradient.abs().max() < 1e-4
    away = bits(torch.zeros(3), 0.1)
    total, path = (
        torch.autograd.grad(
            MonteCarloKL(samples=4000, sticking_the_landing=stl)(q, away, q.rsample((1,))).sum(), logits
        )[0]
        for stl in (False, True)
    )
    # KL = l - 2 + …, so its derivative is 1.
    torch.testing.assert_close(total, torch.ones(1, 3), atol=0.08, rtol=0)
    torch.testing.assert_close(path, torch.ones(1, 3), atol=0.08, rtol=0)


def test_metrics_report_the_rate():
    model = far_out()
    split = TensorSplit(Batch((torch.rand(40, 1, 8, 8) > 0.5).float()))
    found = evaluate(model, split, ["elbo", "rates", "nll[100]", "collapse"])
    expected = 24 * kl_of_a_bit(30, 0.1, 0.1)
    assert found["rate"].value == pytest.approx(expected, abs=1.0)
    assert found["rate[total]"].value == pytest.approx(expected, abs=1.0)
    assert found["nll[100]"].value > 0
    assert found["collapsed_units"].value == 0
    assert not any("impossible" in row.details for row in found.rows)


RNG = np.random.default_rng(0)
M = 400_000
LATENTS = {
    "relaxed-bernoulli": ({"temperature": 0.1}, 2, lambda: special.expit(RNG.logistic(size=(M, 2)) / 0.1)),
    "relaxed-categorical": (
        {"temperature": 0.1},
        3,
        lambda: special.softmax(RNG.gumbel(size=(M, 3)) / 0.1, -1),
    ),
    "dirichlet": ({"concentration": 0.1}, 3, lambda: RNG.dirichlet([0.1] * 3, M)),
    "gamma": ({"concentration": 0.1}, 2, lambda: RNG.gamma(0.1, size=(M, 2))),
    "wrapped-normal": ({"scale": 9.0}, 2, lambda: on_the_ball(9 * RNG.normal(size=(M, 2)))),
}


def on_the_ball(v):
    r = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.tanh(r / 2) * v / r


@pytest.mark.parametrize("prior", LATENTS)
def test_annealing(prior):
    """``log p(x)`` against the mean of the likelihood over NumPy's draws of the prior."""
    options, latent, draws = LATENTS[prior]
    components = {
        "encoder": {"name": "mlp", "hidden": [8]},
        "posterior": "logistic-normal" if prior == "dirichlet" else prior,
        "prior": {"name": prior, **options},
        "divergence": "kl-mc",
        "decoder": {"name": "gaussian", "scale": 0.5},
        "network": "linear",
    }
    info = DataInfo((3,), low=-float("inf"), high=float("inf"))
    model = assemble(compose(components=components, latent=latent), info).eval()
    x = 0.5 * torch.randn(6, 3)
    ais = {"name": "ais", "steps": 60, "chains": 30, "leapfrogs": 4}
    found = evaluate(model, TensorSplit(Batch(x)), ais)
    z = torch.from_numpy(draws()).float()
    with torch.no_grad():
        mean = model.network(z).reshape(M, 3).double().numpy()
    log_p = stats.norm(mean[:, None], 0.5).logpdf(x.double().numpy()).sum(-1)
    exact = special.logsumexp(log_p, 0) - np.log(M)
    np.testing.assert_allclose(-found["nll[ais]"].examples.numpy(), exact, atol=0.15)
