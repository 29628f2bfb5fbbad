"""Posteriors that move along ``log p(x, z)``, on the linear-Gaussian model, whose every density is known."""

import math
from itertools import pairwise

import pytest
import torch
from torch.autograd.functional import jacobian

from genmod.distributions import diagonal_normal
from genmod.errors import UndefinedError
from genmod.plugins.posteriors._chain import Chain, leapfrog
from genmod.plugins.posteriors.hmc import HMCPosterior
from genmod.plugins.posteriors.semi_amortised import SemiAmortisedPosterior
from genmod.testing.reference import exact_log_density, reference_model


def model_of(posterior, *, exact=False):
    """The reference model with a posterior that starts at the prior, or at the exact posterior."""
    torch.manual_seed(1)
    model = reference_model(posterior=posterior)
    layer, head = model.network.layer, model.posterior.head
    precision = 1 + layer.weight.square().sum(0) / 0.25
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        if exact:
            head.weight[:2] = (layer.weight / 0.25 / precision).T
            head.bias[:2] = -head.weight[:2] @ layer.bias
            log_scale = -0.5 * precision.log()
            # What the bound on log-scales turns into that.
            head.bias[2:] = log_scale / (1 - (log_scale / 9).square()).sqrt()
        x = layer.bias + 1.2 * torch.randn(20, 3).double()
    return model, x


@torch.no_grad()
def gap(posterior, draws=2000):
    """``log p(x)`` minus the bound, on average over examples, and the standard error of that."""
    model, x = model_of(posterior)
    torch.manual_seed(3)
    weights = model.log_weights(x, draws)
    error = float(weights.std(0).square().mean().sqrt()) / math.sqrt(draws * len(x))
    return float((exact_log_density(model, x) - weights.mean(0)).mean()), error


def wavy(z):
    """A log-density with valleys, of each point by itself."""
    return -0.5 * z.square().sum(-1) + torch.sin(2 * z).prod(-1) - 0.1 * z.pow(4).sum(-1)


def slope(z):
    with torch.enable_grad():
        at = z if z.requires_grad else z.detach().requires_grad_()
        return torch.autograd.grad(wavy(at).sum(), at, create_graph=True)[0]


def walk(z, momentum, steps=20):
    step, at = torch.tensor([0.1, 0.17]).double(), slope(z)
    for _ in range(steps):
        z, momentum, at = leapfrog(slope, z, momentum, step, at)
    return z, momentum


def test_leapfrog_leads_back():
    torch.manual_seed(0)
    z, momentum = torch.randn(2, 7, 2).double()
    there, turned = (each.detach() for each in walk(z, momentum))
    assert float((there - z).abs().max()) > 0.5
    back, again = walk(there, -turned)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-6)
    torch.testing.assert_close(-again, momentum, rtol=0, atol=1e-6)


def test_leapfrog_keeps_volumes_and_nearly_the_energy():
    torch.manual_seed(0)
    for start in torch.randn(3, 4).double():
        matrix = jacobian(lambda both: torch.cat(walk(both[:2], both[2:])), start)
        assert abs(float(torch.linalg.slogdet(matrix)[1])) < 1e-6
        z, momentum = (each.detach() for each in walk(start[:2], start[2:]))
        before = wavy(start[:2]) - 0.5 * start[2:].square().sum()
        assert abs(float(wavy(z) - 0.5 * momentum.square().sum() - before)) < 0.1


@pytest.mark.parametrize("cooling", ["fixed", "learned"])
def test_cooling_ends_at_temperature_one(cooling):
    """From what is drawn to where it ends, momenta that start hot and are cooled keep volumes."""
    posterior = HMCPosterior((3,), (2,), steps=4, cooling=cooling, beta=0.2).double()
    chain = posterior(torch.zeros(1, 3).double(), wavy)
    assert math.isclose(float(chain.cooling.detach().prod()), math.sqrt(0.2), rel_tol=1e-6)

    def carried(both):
        return torch.cat(chain.moved(both[:2], both[2:] / chain.cooling.prod()))

    matrix = jacobian(carried, torch.randn(4).double())
    assert abs(float(torch.linalg.slogdet(matrix)[1])) < 1e-6


def test_weights_of_a_chain_have_the_mean_of_the_evidence():
    """However it is moved: ``E[w] = p(x)``."""
    for options in (
        {"beta": 0.3},
        {"beta": 1.0, "step": 0.3},
        {"cooling": "learned", "beta": 0.5, "steps": 5},
    ):
        model, x = model_of(HMCPosterior((3,), (2,), **options), exact=True)
        with torch.no_grad():
            ratios = (model.log_weights(x, 4000) - exact_log_density(model, x)).exp()
        error = ratios.std(0) / math.sqrt(4000)
        assert error.max() < 0.05
        assert ((ratios.mean(0) - 1).abs() < 4.5 * error).all(), options


def test_the_bound_lies_below_and_rises_with_the_steps():
    gaps = [gap(HMCPosterior((3,), (2,), steps=steps, step=0.1, beta=0.3)) for steps in (1, 2, 4, 8)]
    assert all(found > 4 * error for found, error in gaps)
    for (found, error), (less, other) in pairwise(gaps):
        assert less < found - 4 * math.hypot(error, other)


def test_without_cooling_the_bound_stays():
    """The dynamics keep the energy, which is all that it is made of."""
    (none, first), (many, other) = (
        gap(HMCPosterior((3,), (2,), steps=steps, step=0.02, beta=1.0)) for steps in (1, 8)
    )
    assert abs(none - many) < 5 * math.hypot(first, other)


def test_a_draw_alone_has_a_density():
    start = diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1)
    q = Chain(start, wavy, torch.full((2,), 0.1), torch.tensor([0.5]))
    z = q.rsample((5,))
    assert q.log_prob(z).shape == (5, 3)
    torch.testing.assert_close(q.log_prob(z[None])[0], q.log_prob(z))
    for other in (z + 0, z.clone().mul_(1), q.expand((3,)).sample((5,)), torch.zeros(3, 2)):
        with pytest.raises(UndefinedError, match="its own draws alone"):
            q.log_prob(other)


def test_steps_of_the_bound_leave_the_exact_posterior_and_lead_to_it():
    model, x = model_of(SemiAmortisedPosterior((3,), (2,), steps=5), exact=True)
    # Columns that were made orthogonal in single precision are so to 1e-7.
    with torch.no_grad():
        weights = model.log_weights(x, 3)
    torch.testing.assert_close(weights, exact_log_density(model, x).expand(3, 20), rtol=0, atol=1e-6)
    gaps = [gap(SemiAmortisedPosterior((3,), (2,), steps=steps), 300)[0] for steps in (0, 1, 3, 10, 60)]
    assert all(less < found - 1e-2 for found, less in pairwise(gaps[:-1]))
    assert 0 <= gaps[-1] + 1e-6 < 1e-3


def test_second_order_is_the_derivative_of_the_steps():
    """Against finite differences; without, the steps are constants."""
    for through in (True, False):
        model, x = model_of(SemiAmortisedPosterior((3,), (2,), steps=2, second_order=through))
        head = model.posterior.head

        def loc(model=model, x=x):
            torch.manual_seed(0)
            return model.encode(x).base_dist.loc.sum()

        (found,) = torch.autograd.grad(loc(), head.bias)
        step, differences = 1e-5, []
        for i in range(4):
            with torch.no_grad():
                head.bias[i] += step
                up = loc()
                head.bias[i] -= 2 * step
                differences.append((up - loc()) / (2 * step))
                head.bias[i] += step
        differences = torch.stack(differences)
        if through:
            torch.testing.assert_close(found, differences, rtol=1e-5, atol=1e-6)
        else:
            torch.testing.assert_close(found, torch.tensor([20.0, 20.0, 0.0, 0.0]).double())
            assert float((differences - found).abs().max()) > 1
