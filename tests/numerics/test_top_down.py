"""Groups of maps on one path: densities, bounds and draws against closed forms and quadrature."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

import genmod
from genmod import DataInfo, UsageError, compose
from genmod.distributions import plain
from genmod.model.assembly import assemble
from genmod.nn import Maps
from genmod.options.schedule import Clock
from genmod.plugins.posteriors import _top_down
from genmod.plugins.posteriors.top_down import TopDownPosterior
from genmod.plugins.priors.top_down import TopDownPrior
from genmod.testing.case import jostle

DOUBLE = torch.float64
SIGMA = 2.0


def vectors(activation, info, *, groups=2, latent=1, decoder, **settings):
    """A model of groups of single numbers, of a table."""
    components = {
        "encoder": {"name": "mlp", "hidden": [4]},
        "posterior": {"name": "top-down", "groups": [groups], "width": 16, "activation": activation},
        "prior": {"name": "top-down", "width": 16, "activation": activation},
        "network": "linear",
        "decoder": decoder,
    }
    model = assemble(compose(components=components, latent=latent, settings=settings), info, seed=1).double()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            small = ".layers." in name and parameter.dim() == 4
            parameter.mul_(0.4 if small else 1.0).add_(0.3 * torch.randn_like(parameter))
        # Near the prior, which covers the exact posterior.
        for head in model.posterior.heads:
            for parameter in head.layers[-1].parameters():
                parameter.mul_(0.1)
    return model.eval()


def small(**options):
    """A model of maps at three resolutions of 8×8."""
    width = {"width": 8}
    options = {"latent": 2, **options}
    given = {part: {"name": name, **width, **options.pop(part, {})} for part, name in
             (("encoder", "pyramid"), ("posterior", "top-down"), ("prior", "top-down"))}  # fmt: skip
    return genmod.build("vdvae-small", **given, **options)


@pytest.fixture
def linear():
    """A chain of two linear-Gaussian groups, decoded linearly, with ``x`` and ``log p(x)``."""
    info = DataInfo((3,), low=-math.inf, high=math.inf)
    model = vectors("identity", info, decoder={"name": "gaussian", "scale": SIGMA})
    with torch.no_grad():
        # The log-scales are constants: that they are linear too, and bounded, would be no linear-Gaussian model.
        for head in model.prior.heads:
            head.layers[-1].weight[1:2] = 0
        ends = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=DOUBLE)
        _, loc, log_scale = model.prior().at(ends)
        slope, scales = loc[1, 1] - loc[0, 1], log_scale[0].exp()
        assert torch.equal(log_scale[1], log_scale[0])
        assert abs(slope) > 0.02
        # z = mean + root ε, ε standard normal.
        root = torch.stack(
            [torch.stack([scales[0], scales[0] * 0]), torch.stack([slope * scales[0], scales[1]])]
        )
        mean = torch.stack([loc[0, 0], loc[0, 1] + slope * loc[0, 0]])
        made = model.decode(ends).mean
        weight = (made[1:] - made[0]).T
        assert torch.linalg.matrix_rank(weight) == 2
        marginal = MultivariateNormal(
            made[0] + weight @ mean,
            weight @ root @ root.T @ weight.T + SIGMA**2 * torch.eye(3, dtype=DOUBLE),
        )
        x = marginal.sample((4,))
    return model, x, marginal.log_prob(x)


@torch.no_grad()
def test_bounds_of_two_linear_groups(linear):
    model, x, exact = linear
    weights = torch.cat([model.log_weights(x, 40_000) for _ in range(3)])
    elbo, error = weights.mean(0), weights.std(0) / len(weights) ** 0.5
    assert (elbo < exact - 0.002 + 4 * error).all()
    torch.testing.assert_close(weights.logsumexp(0) - math.log(len(weights)), exact, rtol=0, atol=1e-2)


@pytest.fixture
def bent():
    """Two single latents on a path that bends, decoded to three binary pixels; a grid over the latents, and its cells."""
    model = vectors("silu", DataInfo((3,), levels=2), decoder="bernoulli")
    axis = torch.linspace(-14, 14, 281, dtype=DOUBLE)
    return model, torch.cartesian_prod(axis, axis), (axis[1] - axis[0]) ** 2


@torch.no_grad()
def test_bounds_against_quadrature(bent):
    model, points, cell = bent
    p = model.prior()
    mass = p.log_prob(points).exp() * cell
    assert abs(float(mass.sum()) - 1) < 1e-6
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 3)
    likelihood = torch.stack([model.decode(points).log_prob(each).exp() for each in x], 1)
    exact = (mass[:, None] * likelihood).sum(0)
    assert abs(float(exact.sum()) - 1) < 1e-6
    weights = model.log_weights(x[::3], 60_000)
    exact = exact[::3].log()
    torch.testing.assert_close(weights.logsumexp(0) - math.log(len(weights)), exact, rtol=0, atol=1e-2)
    assert (weights.mean(0) < exact).all()
    q = model.encode(x)
    of_q = q.log_prob(points[:, None].expand(-1, 8, -1)).exp() * cell
    torch.testing.assert_close(of_q.sum(0), torch.ones(8, dtype=DOUBLE), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("of", ["prior", "posterior"])
def test_draws_have_the_density(bent, of):
    model, points, cell = bent
    given = model.prior() if of == "prior" else model.encode(torch.ones(1, 3, dtype=DOUBLE))
    mass = given.log_prob(points if of == "prior" else points[:, None]).reshape(-1).exp() * cell
    draws = plain(given.sample((100_000,))).reshape(-1, 2)

    def moments(z):
        return torch.stack(
            [z[:, 0], z[:, 1], z[:, 0] * z[:, 1], z[:, 1].square(), (z[:, 1] - z[:, 0]).tanh()], 1
        )

    exact = (mass[:, None] * moments(points)).sum(0)
    found = moments(draws)
    assert ((found.mean(0) - exact).abs() < 4.5 * found.std(0) / len(found) ** 0.5).all()


@torch.no_grad()
def test_what_a_draw_keeps_is_what_its_values_give():
    model = small(condition="label").double()
    jostle(model)
    x, context = torch.rand(3, 1, 8, 8, dtype=DOUBLE).round(), torch.eye(10, dtype=DOUBLE)[:3]
    given = model.given(context)
    q, p = given.encode(x), given.prior()
    for draws in ((), (4,), (2, 2)):
        z = q.rsample(draws)
        for of in (q.log_prob, p.log_prob, lambda z: given.decode(z).log_prob(x)):
            torch.testing.assert_close(of(z), of(plain(z)))
        # That of another condition is another, for the same draws.
        other = model.given(context.flip(0))
        torch.testing.assert_close(other.prior().log_prob(z), other.prior().log_prob(plain(z)))
        torch.testing.assert_close(other.decode(z).log_prob(x), other.decode(plain(z)).log_prob(x))
        assert (other.prior().log_prob(z) - p.log_prob(z)).abs().max() > 1e-3
    z = q.rsample()
    model.prior.heads[0].layers[-1].bias.add_(0.5)
    torch.testing.assert_close(given.prior().log_prob(z), given.prior().log_prob(plain(z)))
    torch.testing.assert_close(given.decode(z).log_prob(x), given.decode(plain(z)).log_prob(x))


@pytest.mark.parametrize("condition", [None, "label"])
@pytest.mark.parametrize("samples", [1, 3])
def test_a_step_goes_down_once(condition, samples, monkeypatch):
    model = small(condition=condition, settings={"objective.samples": samples})
    calls, descend = [], model.prior.descend
    monkeypatch.setattr(model.prior, "descend", lambda *given: calls.append(1) or descend(*given))
    context = None if condition is None else torch.eye(10)[:5]
    model.terms(torch.rand(5, 1, 8, 8), context).loss.backward()
    # Draws of a conditional model are decoded with conditions repeated for each.
    assert len(calls) == (2 if condition and samples > 1 else 1)
    assert all(parameter.grad is not None for parameter in model.parameters())


@torch.no_grad()
def test_draws_in_pieces_are_the_same(monkeypatch):
    model = small().eval()
    jostle(model)
    x = torch.rand(3, 1, 8, 8).round()
    torch.manual_seed(0)
    whole = model.log_weights(x, 5), model.prior().sample((7,))
    monkeypatch.setattr(_top_down, "_VALUES", 4 * model.prior.values_of_a_row)
    torch.manual_seed(0)
    again = model.log_weights(x, 5), model.prior().sample((7,))
    for a, b in zip(whole, again, strict=True):
        torch.testing.assert_close(plain(a), plain(b), rtol=1e-5, atol=1e-4)


def test_gradients_through_activations_that_are_computed_again():
    gradients = []
    for checkpointed in (False, True):
        again = {"checkpointed": checkpointed}
        model = small(encoder=again, prior=again)
        torch.manual_seed(2)
        model.terms(torch.rand(5, 1, 8, 8)).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(map(torch.equal, *gradients))


@torch.no_grad()
def test_temperature_by_group():
    model = small().double()
    jostle(model)
    p = model.prior()
    z = p.sample((5,))
    torch.testing.assert_close(p.tempered(z, 1.0), plain(z))
    cooled = p.tempered(z, [1.0, 0.5, *[1.0] * 4])
    sizes = p.sizes
    torch.testing.assert_close(cooled[:, : sizes[0]], plain(z)[:, : sizes[0]])
    for i, ((own, a), (moved, b)) in enumerate(zip(p.groups_at(plain(z)), p.groups_at(cooled), strict=True)):
        noise = [(v - d.base_dist.loc) / d.base_dist.scale for d, v in ((own, a), (moved, b))]
        torch.testing.assert_close(noise[1], noise[0] * (0.5 if i == 1 else 1.0))
    cold = p.tempered(z, 1e-9)
    torch.testing.assert_close(cold, cold[:1].expand(5, -1), atol=1e-6, rtol=0)
    with pytest.raises(UsageError, match="3 temperatures"):
        p.tempered(z, [1.0, 1.0, 1.0])


def test_free_bits_and_balance_by_group():
    """Against the KLs of the groups, computed from their normals one by one."""
    x = torch.rand(5, 1, 8, 8).round()
    for options in (
        {"objective.free_bits": 2.0, "objective.free_bits_group": "part", "objective.beta": 1.0},
        {"objective.balance": True, "objective.beta": "0.25->1 over 10 steps"},
    ):
        model = small(settings=options).double()
        model.objective.beta.advance(Clock(0, 5, 20))
        torch.manual_seed(4)
        q, p = model.encode(model.observe(x)), model.prior()
        z = plain(q.rsample())
        pairs = zip(q.groups_at(z), p.groups_at(z), strict=True)
        rates = torch.stack([kl_divergence(a, b) for (a, _), (b, _) in pairs], 1)
        mean = rates.mean(0).detach()
        if "objective.free_bits" in options:
            # Some groups have more than that, and some less.
            model.objective.free_bits = mean.median().item() + 1e-6
            wanted = mean.clamp(min=model.objective.free_bits).sum()
        else:
            share = (mean + 0.01) / torch.tensor(q.sizes)
            wanted = 0.25 * (mean * share / share.mean()).sum()
        torch.manual_seed(4)
        terms = model.terms(x)
        torch.testing.assert_close(terms.loss - terms.values["distortion"].mean(), wanted)
        torch.testing.assert_close(terms.values["rate"], rates.sum(1))


def test_balance_is_a_constant_to_the_gradient_and_ends_with_the_warm_up():
    found = {}
    for balance in (False, True):
        model = small(settings={"objective.balance": balance, "objective.beta": "0.5->1 over 10 steps"})
        model.objective.beta.advance(Clock(0, 5, 20))
        for settled in (False, True):
            if settled:
                model.objective.beta.settle()
            torch.manual_seed(1)
            loss = model.terms(torch.ones(4, 1, 8, 8)).loss
            found[balance, settled] = torch.autograd.grad(loss, model.posterior.heads[0].layers[-1].bias)[0]
    assert torch.equal(found[False, True], found[True, True])
    # One number for the whole group.
    ratio = found[True, False], found[False, False]
    assert not torch.allclose(*ratio)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 20), (2, 9, 16)])
def test_pictures_of_any_size(shape):
    info = DataInfo(shape, levels=256)
    model = assemble(compose("vdvae-small", components={"decoder": "gaussian"}, latent=2), info)
    model.terms(torch.randint(256, (2, *shape), dtype=torch.uint8)).loss.backward()
    assert model.sample(2, seed=0).shape == (2, *shape)
    assert sum(math.prod(part) for part in model.latent_shape.parts) == model.latent_shape[0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="shares the path of prior 'top-down', of 64 channels"):
        genmod.build("vdvae-small", prior="normal", network="conv")
    with pytest.raises(UsageError, match="of 64 channels"):
        genmod.build("vdvae-small", settings={"prior.width": 32})
    with pytest.raises(UsageError, match="groups at 3 resolutions"):
        genmod.build("vdvae-small", settings={"posterior.groups": [1, 1, 1, 1]})
    with pytest.raises(UsageError, match="doubles a map"):
        genmod.build("vae", network="conv-up")
    with pytest.raises(UsageError, match="shares the path"):
        genmod.build("vdvae-small", prior="vamp", network="conv")
    with pytest.raises(UsageError, match="free_bits and balance"):
        genmod.build(settings={"objective.balance": True, "objective.free_bits": 1.0})
    parts = {"name": "product", "parts": ["top-down:4", "normal:4"]}
    with pytest.raises(UsageError, match="cannot be a part"):
        genmod.build(posterior=parts, latent=8)


def test_groups_of_a_vector_and_of_a_map():
    assert TopDownPosterior((7,), (3,), groups=[2]).latent_shape.parts == ((3, 1, 1), (3, 1, 1))
    assert TopDownPosterior((7, 4, 2), (3,), groups=[2]).latent_shape.parts == ((3, 4, 2), (3, 4, 2))
    shape = Maps.of([(7, 4, 4), (5, 2, 2)])
    assert TopDownPosterior(shape, (3,), groups=[0, 1]).latent_shape.parts == ((3, 4, 4),)
    assert TopDownPrior((6,), 0).feature_shape == (64, 1, 1)
