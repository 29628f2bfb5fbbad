"""Groups of latents that depend on each other: densities, KLs and bounds against closed forms and quadrature."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import genmod
from genmod import Batch, DataInfo, TensorSplit, UndefinedError, UsageError, compose, diagonal_normal
from genmod.distributions import plain, through_draws
from genmod.model.assembly import assemble
from genmod.plugins.divergences.kl import KL
from genmod.plugins.divergences.kl_mc import MonteCarloKL
from genmod.plugins.posteriors._hierarchy import Hierarchy
from genmod.plugins.posteriors.hierarchical import HierarchicalPosterior
from genmod.plugins.priors.hierarchical import HierarchicalPrior
from genmod.testing.inputs import jostle

DOUBLE = torch.float64


def chain(a, b, scale, top_scale=1.0, batch=()):
    """``z_1 ~ N(0, t²)``, ``z_2 | z_1 ~ N(a z_1 + b, s²)``, two numbers in each; as a hierarchy and as one normal."""
    top = torch.full((*batch, 2), math.log(top_scale), dtype=DOUBLE)
    hierarchy = Hierarchy(
        diagonal_normal(torch.zeros_like(top), top, 1),
        [(2, lambda above: (above @ a.T + b, torch.full_like(above, math.log(scale))))],
    )
    upper = top_scale**2 * torch.eye(2, dtype=DOUBLE)
    cross = upper @ a.T
    covariance = torch.cat(
        [torch.cat([upper, cross], 1), torch.cat([cross.T, a @ cross + scale**2 * torch.eye(2)], 1)]
    )
    return hierarchy, MultivariateNormal(torch.cat([torch.zeros(2, dtype=DOUBLE), b]), covariance)


@pytest.fixture
def pair():
    """Two linear chains, q and p, and the same two as normals."""
    matrices = torch.randn(2, 2, 2, dtype=DOUBLE)
    q = chain(matrices[0], torch.tensor([0.3, -1.0], dtype=DOUBLE), 0.5, 0.8, (3,))
    p = chain(matrices[1], torch.zeros(2, dtype=DOUBLE), 0.9)
    return q, p


def test_density_is_that_of_the_joint_normal(pair):
    (q, normal), _ = pair
    z = torch.randn(5, 3, 4, dtype=DOUBLE)
    torch.testing.assert_close(q.log_prob(z), normal.log_prob(z))
    torch.testing.assert_close(q.log_prob(z[0, 0]), normal.log_prob(z[0, 0]).expand(3))
    drawn = q.rsample((5,))
    torch.testing.assert_close(q.log_prob(drawn), normal.log_prob(plain(drawn)))


def test_draws_are_those_of_the_joint_normal(pair):
    (q, normal), _ = pair
    z = q.sample((40_000,))[:, 0]
    torch.testing.assert_close(z.mean(0), normal.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(z.T.cov(), normal.covariance_matrix, atol=0.06, rtol=0.03)


@pytest.mark.parametrize("divergence", [KL(), MonteCarloKL()])
def test_kl_in_expectation(pair, divergence):
    (q, q_normal), (p, p_normal) = pair
    exact = kl_divergence(q_normal, p_normal)
    z = q.sample((40_000,))
    torch.testing.assert_close(divergence(q, p, z), exact.expand(3), rtol=0.02, atol=0.02)
    parts = divergence.by_part(q, p, z)
    assert parts.shape == (3, 2)
    torch.testing.assert_close(parts.sum(1), divergence(q, p, z))
    torch.testing.assert_close(divergence.by_dimension(q, p, z).sum(1), parts.sum(1))
    torch.testing.assert_close(divergence.by_dimension(q, p, z)[:, 2:].sum(1), parts[:, 1])
    # That of the upper group has a closed form of its own.
    upper = kl_divergence(Normal(0.0, 0.8), Normal(0.0, 1.0)) * 2
    torch.testing.assert_close(parts[:, 0], upper.double().expand(3), rtol=0.03, atol=1e-3)


def test_closed_forms_have_no_noise_where_the_groups_depend_alike():
    slope, zero = torch.randn(2, 2, dtype=DOUBLE), torch.zeros(2, dtype=DOUBLE)
    (q, q_normal), (p, p_normal) = chain(slope, zero + 0.3, 0.5, 0.8, (3,)), chain(slope, zero, 0.9)
    exact = kl_divergence(q_normal, p_normal).expand(3)
    torch.testing.assert_close(KL()(q, p, q.sample((1,))), exact)
    assert (MonteCarloKL()(q, p, q.sample((1,))) - exact).abs().max() > 1e-2


def test_a_draw_keeps_what_its_density_needs():
    calls = []

    def step(above):
        calls.append(above)
        return above * weight, torch.zeros_like(above)

    weight = torch.ones(2, requires_grad=True)
    top = diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1)
    q = Hierarchy(top, [(2, step)])
    z = q.rsample((4,))
    torch.autograd.grad(q.log_prob(z).sum(), weight, retain_graph=True)
    assert len(calls) == 1
    # By the draw alone: log q = -½ ε², whose gradient through z and through the density cancel for the lower group.
    through = torch.autograd.grad(through_draws(q.log_prob, z).sum(), weight, retain_graph=True)[0]
    lower = -(z[..., 2:] - z[..., :2])
    torch.testing.assert_close(through, plain((lower * z[..., :2]).sum((0, 1))).detach())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["prior", "posterior"])
def test_the_density_integrates_to_one(kind):
    if kind == "prior":
        part = HierarchicalPrior((2,), 0, groups=[1, 1], hidden=[8]).double()
        jostle(part)
        p = part()
    else:
        part = HierarchicalPosterior((3,), (2,), groups=[1, 1], hidden=[8]).double()
        p = part(torch.randn(1, 3, dtype=DOUBLE))
    axis = torch.linspace(-12, 12, 601, dtype=DOUBLE)
    points = torch.cartesian_prod(axis, axis)
    density = p.log_prob(points.unsqueeze(1) if p.batch_shape else points).exp().reshape(601, 601)
    mass = density * (axis[1] - axis[0]) ** 2
    assert abs(float(mass.sum()) - 1) < 1e-6
    # The mean of the lower one and of the product, by quadrature and by draws.
    draws = p.sample((100_000,)).reshape(-1, 2)
    found = torch.stack([draws[:, 1], draws[:, 0] * draws[:, 1]], 1)
    exact = torch.stack([(mass * axis).sum(), (mass * axis[:, None] * axis).sum()])
    assert ((found.mean(0) - exact).abs() < 5 * found.std(0) / 100_000**0.5).all()


def test_a_ladder_weighs_by_precision():
    """Estimate N(1, ½²) and prior N(-1, 2²): precision 4 + ¼, mean (4 · 1 - ¼ · 1) / 4.25."""
    from genmod.plugins.posteriors.hierarchical import _combined

    estimate = torch.tensor([1.0]), torch.tensor([0.5]).log()
    loc, log_scale = _combined(
        lambda: estimate, lambda above: (torch.tensor([-1.0]), torch.tensor([2.0]).log()), torch.zeros(0)
    )
    torch.testing.assert_close(loc, torch.tensor([3.75 / 4.25]))
    torch.testing.assert_close(log_scale.exp(), torch.tensor([4.25**-0.5]))
    far = torch.tensor([0.0]), torch.tensor([80.0])
    loc, log_scale = _combined(
        lambda: far, lambda above: (torch.tensor([-1.0]), torch.tensor([-80.0])), torch.zeros(0)
    )
    torch.testing.assert_close((loc, log_scale), (torch.tensor([-1.0]), torch.tensor([-80.0])))


def test_a_ladder_follows_the_prior_of_its_model():
    """Without information from below, q given the draw above is the prior."""
    ladder = {"name": "hierarchical", "ladder": True, "hidden": [8]}
    model = genmod.build(encoder="mlp", latent=4, posterior=ladder, prior="hierarchical").double()
    jostle(model)
    with torch.no_grad():
        head = model.posterior.heads[0].layers[-1]
        head.weight.zero_()
        head.bias[2:] = 1e6
    q, p = model.encode(torch.rand(3, 1, 8, 8, dtype=DOUBLE)), model.prior()
    z = q.rsample()
    of_q, of_p = q.groups_at(z)[1][0].base_dist, p.groups_at(z)[1][0].base_dist
    torch.testing.assert_close(of_q.log_scale, of_p.log_scale, rtol=0, atol=1e-6)
    torch.testing.assert_close(of_q.loc, of_p.loc, rtol=0, atol=1e-6)


SIGMA = 0.6


@pytest.fixture
def linear():
    """A chain of two linear-Gaussian levels, decoded linearly: all weights, and ``x``, ``log p(x)``."""
    info = DataInfo((3,), low=-math.inf, high=math.inf)
    groups = {"name": "hierarchical", "groups": [1, 1], "hidden": []}
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": SIGMA},
        "posterior": groups,
        "prior": groups,
    }
    model = assemble(compose(components=components, latent=2), info, seed=1).double()
    a, s = 1.3, 0.7
    weight = torch.tensor([[0.5, 1.0], [-0.4, 0.8], [0.2, -0.6]], dtype=DOUBLE)
    with torch.no_grad():
        lower = model.prior.lower[0].layers[0]
        lower.weight.copy_(torch.tensor([[a], [0.0]]))
        lower.bias.copy_(torch.tensor([0.2, math.log(s) / math.sqrt(1 - (math.log(s) / 9) ** 2)]))
        model.network.layers[0].weight.copy_(weight)
        model.network.layers[0].bias.zero_()
    mean = weight @ torch.tensor([0.0, 0.2], dtype=DOUBLE)
    of_z = torch.tensor([[1.0, a], [a, a * a + s * s]], dtype=DOUBLE)
    marginal = MultivariateNormal(mean, weight @ of_z @ weight.T + SIGMA**2 * torch.eye(3, dtype=DOUBLE))
    x = marginal.sample((8,))
    return model, x, marginal.log_prob(x)


@torch.no_grad()
def test_bounds_of_two_linear_levels(linear):
    model, x, exact = linear
    make_exact(model)
    for head in model.posterior.heads:
        head.layers[0].bias.add_(0.2)
    weights = model.log_weights(x, 150_000)
    elbo, error = weights.mean(0), weights.std(0) / 150_000**0.5
    assert (elbo < exact - 0.05 + 4 * error).all()
    torch.testing.assert_close(weights.logsumexp(0) - math.log(150_000), exact, rtol=0, atol=1e-2)


@torch.no_grad()
def make_exact(model):
    """``q(z_1|x) q(z_2|z_1, x)``, linear in both, set to the conditionals of the joint normal."""
    weight, a, s = model.network.layers[0].weight, 1.3, 0.7
    of_z = torch.tensor([[1.0, a], [a, a * a + s * s]], dtype=DOUBLE)
    mean = torch.tensor([0.0, 0.2], dtype=DOUBLE)
    covariance = torch.linalg.inv(torch.linalg.inv(of_z) + weight.T @ weight / SIGMA**2)
    gain = covariance @ weight.T / SIGMA**2
    offset = covariance @ torch.linalg.inv(of_z) @ mean
    slope = covariance[1, 0] / covariance[0, 0]
    rest = (covariance[1, 1] - slope * covariance[1, 0]).sqrt().log()
    top = covariance[0, 0].sqrt().log()
    model.encoder = torch.nn.Identity()
    model.posterior.ups = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])

    def unbounded(value):
        return value / (1 - (value / 9) ** 2).sqrt()

    for head, weights, bias, scale in (
        (model.posterior.heads[1], gain[0], offset[0], top),
        (
            model.posterior.heads[0],
            torch.cat([gain[1] - slope * gain[0], slope[None]]),
            offset[1] - slope * offset[0],
            rest,
        ),
    ):
        layer = torch.nn.Linear(len(weights), 2, dtype=DOUBLE)
        layer.weight.copy_(torch.stack([weights, torch.zeros_like(weights)]))
        layer.bias.copy_(torch.stack([bias, unbounded(scale)]))
        head.layers = torch.nn.Sequential(layer)


@torch.no_grad()
def test_every_draw_of_the_exact_posterior_has_the_marginal_for_weight(linear):
    model, x, exact = linear
    make_exact(model)
    torch.testing.assert_close(model.log_weights(x, 7), exact.expand(7, 8))


def test_temperature_by_group():
    prior = HierarchicalPrior((4,), 0, hidden=[8]).double()
    jostle(prior)
    p = prior()
    z = p.sample((5,))
    torch.testing.assert_close(p.tempered(z, 1.0), plain(z))
    half = p.tempered(z, [0.5, 1.0])
    torch.testing.assert_close(half[:, :2], plain(z)[:, :2] / 2)
    own, moved = p.groups_at(plain(z))[1], p.groups_at(half)[1]
    noise = [(values - each.base_dist.loc) / each.base_dist.scale for each, values in (own, moved)]
    torch.testing.assert_close(*noise)
    cold = p.tempered(z, 1e-9)
    torch.testing.assert_close(cold, cold[:1].expand(5, 4), atol=1e-6, rtol=0)
    with pytest.raises(UsageError, match="3 temperatures"):
        p.tempered(z, [1.0, 1.0, 1.0])


def test_what_does_not_fit_is_refused():
    parts = {
        "posterior": {"name": "hierarchical", "ladder": True},
        "encoder": "mlp",
        "latent": 4,
        "prior": "normal",
    }
    with pytest.raises(UsageError, match="prior 'hierarchical' with the same groups"):
        genmod.build(**parts)
    with pytest.raises(UsageError, match="do not fill"):
        genmod.build(encoder="mlp", prior={"name": "hierarchical", "groups": [3, 3]}, latent=4)
    different = {"name": "hierarchical", "groups": [1, 3]}
    with pytest.raises(UndefinedError, match="no closed form"):
        genmod.build(encoder="mlp", latent=4, posterior="hierarchical", prior=different, divergence="kl")


@torch.no_grad()
def test_a_relative_posterior_adds_to_the_prior():
    groups = {"name": "hierarchical", "hidden": [8]}
    model = genmod.build(
        encoder="mlp", latent=4, posterior={**groups, "relative": True}, prior=groups, condition="label"
    ).double()
    for _ in range(4):
        jostle(model)
    x, context = torch.rand(3, 1, 8, 8, dtype=DOUBLE), torch.eye(10, dtype=DOUBLE)[:3]
    q, p = model.encode(x, context), model.prior(context)
    z = q.sample()
    shifts = []
    for shift in (0.0, 0.25):
        model.prior.lower[0].layers[-1].bias[:2] += shift
        model.prior.top.layers[-1].bias[:2] += shift
        shifts.append(model.encode(x, context).at(plain(z))[1] - model.prior(context).at(plain(z))[1])
    torch.testing.assert_close(shifts[1], shifts[0])
    for head in model.posterior.heads:
        head.layers[-1].weight.zero_()
        head.layers[-1].bias.zero_()
    q, p = model.encode(x, context), model.prior(context)
    torch.testing.assert_close(q.at(plain(z))[1], p.at(plain(z))[1])
    torch.testing.assert_close(q.at(plain(z))[2], p.at(plain(z))[2], atol=0.02, rtol=0.02)
    with pytest.raises(UsageError, match="by precision"):
        genmod.build(
            encoder="mlp", latent=4, posterior={**groups, "relative": True, "ladder": True}, prior=groups
        )


@pytest.mark.parametrize("ladder", [False, True])
def test_conditional_models(ladder):
    posterior = {"name": "hierarchical", "ladder": ladder}
    model = genmod.build(
        encoder="mlp", latent=4, posterior=posterior, prior="hierarchical", condition="label"
    )
    jostle(model)
    context = torch.eye(10)[:3]
    p = model.prior(context)
    assert p.batch_shape == (3,)
    z = p.sample((2,))
    each = torch.stack([model.prior(context[i]).log_prob(plain(z)[:, i]) for i in range(3)], 1)
    torch.testing.assert_close(p.log_prob(z), each)
    assert not torch.allclose(p.log_prob(z[0, 0]), p.log_prob(z[0, 0])[0].expand(3))
    model.terms(torch.rand(3, 1, 8, 8), context).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.sample(5, seed=0, condition="7").shape == (5, 1, 8, 8)
    if ladder:
        with torch.no_grad():
            model.posterior.heads[0].layers[-1].bias[2:] = 1e6
        q = model.encode(torch.rand(3, 1, 8, 8), context)
        (_, (of_q, _)), (_, (of_p, _)) = q.groups_at(z), p.groups_at(z)
        torch.testing.assert_close(of_q.base_dist.loc, of_p.base_dist.loc, rtol=0, atol=1e-4)


def test_free_bits_by_group():
    model = genmod.build(
        encoder="mlp",
        latent=6,
        posterior={"name": "hierarchical", "groups": [2, 2, 2]},
        prior={"name": "hierarchical", "groups": [2, 2, 2]},
        settings={"objective.free_bits": 0.3, "objective.free_bits_group": "part"},
    )
    jostle(model)
    x = torch.rand(5, 1, 8, 8).round()
    torch.manual_seed(4)
    terms = model.terms(x)
    torch.manual_seed(4)
    x = model.observe(x)
    q, p = model.encode(x), model.prior()
    z = plain(q.rsample())[None]
    groups = zip(q.groups_at(z), p.groups_at(z), strict=True)
    rates = torch.stack([kl_divergence(a, b).reshape(-1, 5)[0] for (a, _), (b, _) in groups], 1)
    assert ((rates.mean(0) > 0.3).any(), (rates.mean(0) < 0.3).any()) == (True, True)
    free = terms.loss - terms.values["distortion"].mean()
    torch.testing.assert_close(free, rates.mean(0).clamp(min=0.3).sum(), atol=1e-4, rtol=0)
    torch.testing.assert_close(terms.values["rate"], rates.sum(1), atol=1e-4, rtol=0)


def test_rates_by_group():
    model = genmod.build(encoder="mlp", latent=4, posterior="hierarchical", prior="hierarchical")
    jostle(model)
    split = TensorSplit(Batch(torch.rand(50, 1, 8, 8)))
    rows = {row.name: row.value for row in genmod.evaluate(model, split, "rates").rows}
    assert list(rows) == [
        "rate[total]",
        "rate[part 0]",
        "rate[part 1]",
        "rate[0.0]",
        "rate[0.1]",
        "rate[1.0]",
        "rate[1.1]",
    ]
    assert rows["rate[total]"] == pytest.approx(rows["rate[part 0]"] + rows["rate[part 1]"])
    assert rows["rate[part 1]"] == pytest.approx(rows["rate[1.0]"] + rows["rate[1.1]"])
