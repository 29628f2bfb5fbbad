"""Normalising flows: maps against automatic differentiation, densities against quadrature and draws."""

import pytest
import torch
from torch.distributions import Distribution, MultivariateNormal

from genmod import UsageError, build, diagonal_normal
from genmod.plugins.posteriors._maps import Affine, Householder, Planar, Radial
from genmod.plugins.posteriors._neural_maps import NeuralMaps, _ZukoMap
from genmod.plugins.posteriors._transported import Transported
from genmod.plugins.posteriors.flow import FlowPosterior
from genmod.plugins.priors.flow import FlowPrior

KINDS = ["planar", "radial", "householder", "iaf", "maf", "nsf", "realnvp"]
NEURAL = ["iaf", "maf", "nsf", "realnvp"]
N, B = 4, 6


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def neural(kind, n=N, context=3):
    networks = NeuralMaps(kind, n, context, 2, [16]).double()
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return networks.maps(double(B, context) if context else None)


MAPS = {
    "affine": lambda: [Affine(double(B, N), double(B, N))],
    "planar": lambda: [Planar(3 * double(B, N), 3 * double(B, N), double(B))],
    "radial": lambda: [Radial(double(B, N), double(B), 3 * double(B))],
    "householder": lambda: [Householder(double(B, N))],
    **{kind: lambda kind=kind: neural(kind) for kind in NEURAL},
}


@pytest.mark.parametrize("name", MAPS)
def test_determinant_against_autograd(name):
    for each in MAPS[name]():
        x = 2 * double(B, N)
        y, log_det = each.forward(x)
        jacobian = torch.autograd.functional.jacobian(lambda x, each=each: each.forward(x)[0].sum(0), x)
        expected = torch.linalg.slogdet(jacobian.movedim(1, 0))[1]
        torch.testing.assert_close(log_det, expected, rtol=1e-5, atol=1e-5)
        assert y.shape == x.shape


@pytest.mark.parametrize("name", MAPS)
def test_there_and_back(name):
    for each in MAPS[name]():
        x = 3 * double(50, B, N)
        y, log_det = each.forward(x)
        back, same = each.inverse(y)
        torch.testing.assert_close(back, x, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(same, log_det, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_gradient_of_the_way_back(name):
    """Through an implicit function as through any other."""
    (each, *_) = MAPS[name]()
    y = double(B, N).requires_grad_()
    torch.autograd.gradcheck(lambda y: each.inverse(y), (y,), atol=1e-4)


def test_gradient_of_planar_parameters_on_the_way_back():
    y = double(B, N)
    given = [(double(B, N)).requires_grad_(), double(B, N).requires_grad_(), double(B).requires_grad_()]
    torch.autograd.gradcheck(lambda *given: Planar(*given).inverse(y), given, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 9.0])
def test_planar_and_radial_are_invertible_whatever_their_parameters(size):
    """Directions against each other, where the slope is nearly zero, and vanishing ones."""
    x = double(40, B, N)
    w = size * double(B, N)
    for each in (Planar(-w, w, size * double(B)), Radial(double(B, N), double(B), -size * torch.ones(B))):
        y, log_det = each.forward(x)
        assert log_det.isfinite().all()
        back, _ = each.inverse(y)
        again, _ = each.forward(back)
        torch.testing.assert_close(again, y, rtol=1e-5, atol=1e-5)


def test_householder_flow_is_a_rotated_normal():
    loc, log_scale = double(N), 0.5 * double(N)
    mirrors = [Householder(double(N)) for _ in range(3)]
    p = Transported(diagonal_normal(loc, log_scale, 1), mirrors, (N,))
    turn = torch.stack([_through(mirrors, column) for column in torch.eye(N, dtype=torch.float64)], 1)
    torch.testing.assert_close(turn @ turn.T, torch.eye(N, dtype=torch.float64))
    theirs = MultivariateNormal(turn @ loc, turn @ (2 * log_scale).exp().diag() @ turn.T)
    z = double(20, N)
    torch.testing.assert_close(p.log_prob(z), theirs.log_prob(z))


def _through(maps, x):
    for each in maps:
        x, _ = each.forward(x)
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_density_of_a_draw_and_of_an_equal_value(kind):
    """That which comes with the draw, and that which is found by going back, with the same gradient for the path."""
    part = FlowPosterior((7,), (2, 2), kind=kind).double()
    features = double(B, 7)
    q = part(features)
    z = q.rsample((3,))
    quick, slow = q.log_prob(z), q.log_prob(z + 0)
    torch.testing.assert_close(quick, slow, rtol=1e-6, atol=1e-6)
    first, second = (
        torch.autograd.grad(each.sum(), part.head.weight, retain_graph=True)[0] for each in (quick, slow)
    )
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


def test_density_of_a_draw_needs_no_way_back(monkeypatch):
    q = FlowPosterior((7,), (5,), kind="iaf")(torch.randn(B, 7))
    z = q.rsample((2,))
    for each in q.maps:
        monkeypatch.setattr(type(each), "inverse", None)
    assert q.log_prob(z).shape == (2, B)
    assert q.log_prob(z[None]).shape == (1, 2, B)
    with torch.no_grad():
        assert not q.log_prob(z).requires_grad
    # Of these the gradient, or the numbers, are others.
    for other in (z.detach(), z.detach().requires_grad_()[None], z[:1], z.clone(), z.transpose(0, 1)):
        with pytest.raises(TypeError):
            q.log_prob(other)


def test_training_needs_no_way_back(monkeypatch):
    """Whatever shape objectives and divergences give to the draws."""
    for objective in ("elbo", "iwae"):
        divergence = "kl-mc" if objective == "elbo" else "none"
        model = build(
            "vae", encoder="mlp", posterior="flow", divergence=divergence, objective=objective, latent=3
        )
        monkeypatch.setattr(_ZukoMap, "inverse", None)
        assert model.terms(torch.rand(4, 1, 8, 8)).total.isfinite()
        monkeypatch.undo()


def test_a_draw_that_was_changed_has_another_density():
    q = FlowPosterior((7,), (5,), kind="planar")(torch.randn(B, 7))
    z = q.sample()
    before = q.log_prob(z)
    z.add_(1.0)
    assert not torch.equal(before, q.log_prob(z))


@pytest.mark.parametrize("kind", ["planar", "radial", "iaf", pytest.param("nsf", marks=pytest.mark.slow)])
def test_expectations_by_draws_and_by_quadrature(kind):
    torch.manual_seed(5)
    part = FlowPosterior((7,), (2,), kind=kind).double()
    with torch.no_grad():
        q = part(2 * double(1, 7))
        draws = q.sample((20_000,))[:, 0]
        middle, width = draws.median(0).values, draws.std(0)
        side = torch.linspace(-7, 7, 201, dtype=torch.float64)
        points = torch.cartesian_prod(middle[0] + width[0] * side, middle[1] + width[1] * side)
        mass = q.log_prob(points[:, None])[:, 0].exp() * (0.07 * width).prod()
        assert mass.sum().item() == pytest.approx(1, abs=2e-3)
        for f in (lambda z: z[:, 0].sin(), lambda z: (z[:, 0] * z[:, 1]).cos(), lambda z: z[:, 1].tanh()):
            seen, expected = f(draws), (f(points) * mass).sum()
            assert (seen.mean() - expected).abs() < 4.5 * seen.std() / 20_000**0.5 + 1e-3


@pytest.mark.parametrize("kind", ["maf", "nsf", "realnvp"])
def test_prior_has_densities_and_draws_with_gradients(kind):
    prior = FlowPrior((3, 2), kind=kind).double()
    p = prior()
    z = p.sample((2000,))
    torch.testing.assert_close(p.log_prob(z), p.log_prob(z.clone()), rtol=1e-6, atol=1e-6)
    (p.log_prob(double(5, 3, 2)).sum() + p.rsample((5,)).sum()).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in prior.parameters())


def test_they_start_near_the_normal():
    for kind in ("maf", "nsf", "realnvp"):
        p, z = FlowPrior((4,), kind=kind)(), torch.randn(500, 4)
        assert (
            p.log_prob(z) - diagonal_normal(torch.zeros(4), torch.zeros(4), 1).log_prob(z)
        ).abs().mean() < 1.5


def test_torch_goes_on_validating(monkeypatch):
    """zuko turns the validation of all distributions off when it is imported, and so does the compiler of torch 2.6."""
    monkeypatch.setattr(Distribution, "_validate_args", True)
    NeuralMaps("iaf", 2, 0, 1, [4])
    assert Distribution._validate_args is True


@pytest.mark.parametrize("objective", ["elbo", "iwae", "dreg", "stl"])
@pytest.mark.parametrize("kind", ["planar", "iaf", "nsf"])
def test_objectives(kind, objective):
    posterior = {"name": "flow", "kind": kind, "transforms": 2}
    divergence = {"name": "kl-mc", "samples": 3} if objective == "elbo" else "none"
    model = build(
        "vae", encoder="mlp", posterior=posterior, divergence=divergence, objective=objective, latent=3
    )
    model.terms(torch.rand(4, 1, 8, 8)).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.posterior.parameters())


def test_what_is_refused():
    with pytest.raises(UsageError, match="no networks"):
        FlowPosterior((7,), (5,), kind="planar", hidden=(8,))
    with pytest.raises(UsageError) as caught:
        build("vae", posterior="flow", divergence="kl")
    assert "kl-mc" in caught.value.hint
