"""Annealing: moves that leave densities as they are, weights with the right mean, and the truth between two bounds."""

import math

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.metrics._annealing import Path, anneal, anneal_back, schedule
from genmod.plugins.metrics._hmc import State, hmc_move, leapfrog


def bent(u):
    """Two densities of no standard form, one of them with correlations."""
    first = -0.5 * u.square().sum(-1)
    return first, first - (u[..., 0].square() - u[..., 1]).square() - 0.1 * u[..., 1].pow(4)


def test_leapfrog_leads_back_and_keeps_volumes():
    u = torch.randn(1, 1, 2, dtype=torch.float64)
    momentum = torch.randn(1, 1, 2, dtype=torch.float64)
    step = torch.tensor([0.15], dtype=torch.float64)
    there, turned = leapfrog(bent, State.at(bent, u, 0.7), momentum, 0.7, step, 12)
    assert (there.u - u).abs().max() > 0.1
    back, again = leapfrog(bent, State.at(bent, there.u, 0.7), -turned, 0.7, step, 12)
    assert (back.u - u).abs().max() < 1e-12
    assert (again + momentum).abs().max() < 1e-12

    def move(both):
        state, end = leapfrog(bent, State.at(bent, both[:2].reshape(1, 1, 2), 0.7), both[2:], 0.7, step, 3)
        return torch.cat([state.u.flatten(), end.flatten()])

    both, tiny = torch.cat([u.flatten(), momentum.flatten()]), 1e-6 * torch.eye(4, dtype=torch.float64)
    jacobian = torch.stack([(move(both + d) - move(both - d)) / 2e-6 for d in tiny], 1)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1.0, abs=1e-7)


def test_moves_leave_a_density_as_it_is():
    """From exact draws: moments stay, to 4.5 standard errors, though a third of the moves are not accepted."""
    n = 20_000
    start, scale = torch.randn(n, 1, 2, dtype=torch.float64), torch.tensor([1.0, 0.3], dtype=torch.float64)

    def normal(u):
        density = -0.5 * (u / scale).square().sum(-1)
        return density, density

    u, shares = start * scale, []
    for _ in range(5):
        state, chance = hmc_move(normal, u, 0.5, torch.tensor([0.55], dtype=torch.float64), 3)
        u = state.u
        shares.append(chance.mean().item())
    assert min(shares) > 0.3
    assert max(shares) < 0.9
    for power, moment in ((1, 0.0), (2, 1.0), (4, 3.0)):
        seen = (u / scale).pow(power)
        error = seen.std(0) / n**0.5
        assert ((seen.mean(0) - moment).abs() < 4.5 * error).all()


def test_state_says_what_is_known_of_where_chains_are():
    u = torch.randn(6, 4, 2, dtype=torch.float64)
    state, _ = hmc_move(bent, u, 0.3, torch.full((4,), 0.8, dtype=torch.float64), 4)
    again = State.at(bent, state.u, 0.3)
    moved = (state.u != u).any(-1)
    assert 0 < moved.sum() < moved.numel()
    for name in ("start", "target", "mixed", "slope"):
        assert torch.equal(getattr(state, name), getattr(again, name))


def test_path_that_leaves_the_numbers_is_not_accepted():
    def cliff(u):
        density = (-u.square().sum(-1)).exp().log()
        return density, density

    u = torch.zeros(3, 1, 2)
    state, chance = hmc_move(cliff, u, 0.5, torch.tensor([1e6]), 2)
    assert torch.equal(state.u, u)
    assert not chance.any()


def test_schedule_rises_from_0_to_1():
    for steps in (1, 2, 7, 1000):
        betas = torch.tensor(schedule(steps), dtype=torch.float64)
        assert len(betas) == steps + 1
        assert (betas[0], betas[-1]) == (0, 1)
        assert (betas.diff() > 0).all()
        assert torch.allclose(betas + betas.flip(0), torch.ones(steps + 1, dtype=torch.float64))


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_mean_weight_is_the_likelihood(models, start):
    """Of few steps, where the logarithm of one weight is far off; also with the size of moves found on the way."""
    model = models.linear(dims=3, latent=2, size=2.0)
    x = models.drawn(model, 2)
    found = anneal(Path(model, x, None, start), schedule(4), chains=2000, leapfrogs=3)
    ratio = (found.log_weights - models.truth(model, x)).exp()
    error = ratio.std(0) / 2000**0.5
    assert (error < 0.2).all()
    assert ((ratio.mean(0) - 1).abs() < 4.5 * error).all()
    assert found.steps.shape == (3, 2)
    assert (found.steps.diff(dim=0) != 0).all()


def test_mean_weight_on_the_way_back_is_one_over_the_likelihood(models):
    """From draws of the exact posterior, over many of them."""
    model = models.linear(dims=3, latent=2, size=2.0)
    models.make_exact(model)
    x = models.drawn(model, 1).expand(3000, -1)
    path = Path(model, x, None)
    with torch.no_grad():
        z = model.encode(x).sample()
    steps = anneal(Path(model, x[:1], None), schedule(5), chains=1, leapfrogs=3).steps.expand(-1, 3000)
    back = anneal_back(path, schedule(5), z, steps, chains=1, leapfrogs=3)
    ratio = (back.log_weights[0] + models.truth(model, x)).exp()
    assert abs(ratio.mean().item() - 1) < 4.5 * ratio.std().item() / 3000**0.5
    assert ratio.std() > 0.1


def test_size_of_moves_is_found_by_chains_that_do_not_count(models, monkeypatch):
    """Wherever the chains that count are, the others find the same sizes: these depend on nothing that is weighed."""
    model = models.linear(dims=3, latent=2)
    x = models.drawn(model, 2)
    runs = []
    draw = Path.draw
    for shift in (0.0, 2.0):

        def shifted(path, chains, shift=shift):
            u = draw(path, chains)
            u[4:] += shift
            return u

        monkeypatch.setattr(Path, "draw", shifted)
        torch.manual_seed(0)
        runs.append(anneal(Path(model, x, None), schedule(10), chains=3, leapfrogs=3))
    assert torch.equal(runs[0].steps, runs[1].steps)
    assert not torch.equal(runs[0].log_weights, runs[1].log_weights)
    assert runs[0].log_weights.shape == (3, 2)


def test_exact_posterior_is_exact_at_once(models):
    model = models.linear()
    models.make_exact(model)
    x = models.drawn(model, 5)
    row = evaluate(model, models.split_of(x), {"name": "ais", "steps": 3, "chains": 2, "start": "posterior"})[
        "nll[ais]"
    ]
    assert (row.examples + models.truth(model, x)).abs().max() < 1e-9


def sandwich(models, model, steps, examples, chains=16):
    """AIS on given data, BDMC on the model's own, and how far both are off."""
    x = models.drawn(model, examples)
    options = {"steps": steps, "chains": chains, "leapfrogs": 5, "examples": examples}
    split = models.split_of(x)
    result = evaluate(model, split, [{"name": "ais", **options}, {"name": "bdmc", **options}])
    return result, -models.truth(model, x).mean().item()


def check_sandwich(result, exact, model, models, gap):
    ais, lower, upper = (result[name] for name in ("nll[ais]", "bdmc_lower", "bdmc_upper"))
    assert abs(ais.value - exact) < 3 * ais.details["error_of_draws"] + gap
    # The data that it makes have on average the negative entropy of the marginal.
    weight = model.network.layer.weight.detach()
    covariance = weight @ weight.T + models.sigma**2 * torch.eye(len(weight), dtype=torch.float64)
    entropy = (
        torch.distributions.MultivariateNormal(torch.zeros(len(weight)).double(), covariance).entropy().item()
    )
    assert lower.value - 3 * lower.standard_error < -entropy < upper.value + 3 * upper.standard_error
    assert -3 * result["bdmc_gap"].standard_error < result["bdmc_gap"].value < gap
    assert result["bdmc_gap"].value == pytest.approx(upper.value - lower.value)
    assert 0.5 < ais.details["acceptance"] < 0.8
    assert all(result[name].examples is None for name in ("bdmc_lower", "bdmc_upper", "bdmc_gap"))


def test_truth_lies_between_the_bounds(models):
    model = models.linear(dims=5, latent=2, size=1.5)
    result, exact = sandwich(models, model, 100, 20, chains=8)
    check_sandwich(result, exact, model, models, 0.2)


@pytest.mark.slow
def test_truth_lies_between_the_bounds_of_a_larger_model(models):
    model = models.linear(dims=20, latent=8)
    result, exact = sandwich(models, model, 2000, 24)
    check_sandwich(result, exact, model, models, 0.2)


@pytest.mark.slow
def test_more_steps_close_the_gap(models):
    model = models.linear(dims=5, latent=2)
    gaps = [sandwich(models, model, steps, 12, chains=4)[0]["bdmc_gap"].value for steps in (4, 60)]
    assert gaps[0] > 2 * abs(gaps[1])


@pytest.mark.parametrize(
    "kind",
    [
        "gamma",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("relaxed-bernoulli", "relaxed-categorical")
        ),
    ],
)
def test_latents_that_do_not_fill_space_are_mapped_there(kind):
    """The same likelihood as by importance sampling, for positive latents, fractions and probabilities."""
    info = DataInfo((5,), low=-math.inf, high=math.inf)
    components = {
        "encoder": {"name": "mlp", "hidden": [4]},
        "network": "linear",
        "decoder": {"name": "gaussian", "scale": 0.7},
        "posterior": kind,
        "prior": kind,
        "divergence": "kl-mc",
    }
    model = assemble(compose(components=components, latent=3), info).double()
    split = TensorSplit(Batch(torch.randn(6, 5, dtype=torch.float64)))
    result = evaluate(
        model, split, ["nll[20000]", {"name": "ais", "steps": 60, "chains": 32, "leapfrogs": 4}]
    )
    ours, plain = result["nll[ais]"], result["nll[20000]"]
    error = math.hypot(ours.details["error_of_draws"], plain.details["error_of_draws"])
    assert error < 0.05
    assert abs(ours.value - plain.value) < 4 * error


@pytest.mark.slow
def test_conditions_and_missing_values(models):
    """Against the exact likelihood of such a model."""
    info = DataInfo((5,), low=-math.inf, high=math.inf, classes=("a", "b"), missing=True)
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": "linear",
        "decoder": {"name": "gaussian", "scale": 0.7},
        "prior": "conditional",
    }
    model = assemble(compose(components=components, latent=2, condition=("label",)), info).double()
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.normal_()
    x = torch.randn(8, 5, dtype=torch.float64)
    x[torch.rand(8, 5) < 0.3] = torch.nan
    split = TensorSplit(Batch(x, labels=torch.arange(8) % 2))
    options = {"steps": 60, "chains": 16, "leapfrogs": 5}
    result = evaluate(model, split, ["exact", {"name": "ais", **options}, {"name": "bdmc", **options}])
    ais = result["nll[ais]"]
    assert abs(ais.value - result["nll[exact]"].value) < 4 * ais.details["error_of_draws"] + 0.02
    assert ais.details["error_of_draws"] < 0.1
    assert abs(result["bdmc_gap"].value) < 0.3


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        (
            {"posterior": {"name": "relaxed-bernoulli", "straight_through": True}, "prior": "bernoulli"},
            "latents are discrete",
        ),
        ({"posterior": "power-spherical", "prior": "uniform-sphere"}, "no map from R"),
    ],
)
@pytest.mark.parametrize("metric", ["ais", "bdmc"])
def test_latents_without_a_way_through_space_are_refused(components, reason, metric):
    spec = compose(
        components={"encoder": {"name": "mlp", "hidden": [4]}, "decoder": "bernoulli", **components}, latent=3
    )
    model = assemble(spec, DataInfo((5,), levels=2))
    assert reason in evaluate(model, TensorSplit(Batch(torch.zeros(3, 5))), metric).undefined[metric]


def test_same_seed_same_numbers_and_the_model_stays_as_it_is(models):
    model, options = models.linear(dims=3, latent=2), {"steps": 5, "chains": 3, "examples": 4}
    split = models.split_of(models.drawn(model, 9))
    state = torch.get_rng_state()
    first = evaluate(model, split, [{"name": "ais", **options}, {"name": "bdmc", **options}])
    again = evaluate(model, split, [{"name": "bdmc", **options}, {"name": "ais", **options}])
    assert {row.name: row.value for row in first.rows} == {row.name: row.value for row in again.rows}
    assert first["nll[ais]"].n == 4
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
