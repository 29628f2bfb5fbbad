"""Dynamics under a metric: against autograd, plain dynamics, and the exact evidence; the centroids in a run."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import MultivariateNormal

import genmod
from genmod import UsageError, build
from genmod.plugins.posteriors._metric import Metric, generalised_leapfrog
from genmod.plugins.posteriors.hmc import HMCPosterior
from genmod.plugins.posteriors.rhvae import RHVAEPosterior
from genmod.testing.reference import exact_log_density, reference_model

SMALL = {"name": "mlp", "hidden": [16]}


@pytest.fixture
def metric():
    fixed = torch.Generator().manual_seed(0)
    factors = 0.6 * torch.randn(4, 2, 2, generator=fixed).double()
    return Metric(torch.randn(4, 2, generator=fixed).double(), factors @ factors.mT, 1.2, 0.3)


def wavy(z):
    return -0.5 * z.square().sum(-1) + torch.sin(2 * z).prod(-1)


def slope(z):
    at = z if z.requires_grad else z.detach().requires_grad_()
    return torch.autograd.grad(wavy(at).sum(), at, create_graph=True)[0]


def walk(metric, z, momentum, steps=6, iterations=40):
    step, at = torch.tensor([0.1, 0.17]).double(), slope(z)
    for _ in range(steps):
        z, momentum, at = generalised_leapfrog(slope, metric, z, momentum, step, at, iterations)
    return z, momentum


def test_the_inverse_metric_is_the_sum_that_it_is_said_to_be(metric):
    z = torch.tensor([0.3, -0.7]).double()
    wanted = 0.3 * torch.eye(2).double()
    for centre, matrix in zip(metric.centres, metric.matrices, strict=True):
        wanted += matrix * math.exp(-float((z - centre).square().sum()) / 1.2**2)
    torch.testing.assert_close(metric.at(z).inverse, wanted)


def test_momenta_have_the_metric_for_their_covariance(metric):
    z, momentum = torch.randn(2, 5, 2).double()
    at = metric.at(z)
    for i in range(5):
        truth = MultivariateNormal(torch.zeros(2).double(), precision_matrix=at.inverse[i])
        torch.testing.assert_close(metric.log_density(at, momentum)[i], truth.log_prob(momentum[i]))
    torch.manual_seed(0)
    one = metric.at(z[0].expand(50_000, 2))
    drawn = metric.drawn(one, torch.randn(50_000, 2).double())
    torch.testing.assert_close(drawn.T.cov(), at.inverse[0].inverse(), rtol=0.03, atol=0.03)


def test_the_force_is_the_gradient_of_the_energy(metric):
    """Against autograd, of the log-density of the momentum."""
    z, momentum = torch.randn(2, 6, 2).double()
    z.requires_grad_()
    (wanted,) = torch.autograd.grad(metric.log_density(metric.at(z), momentum).sum(), z)
    torch.testing.assert_close(metric.force(metric.at(z), momentum), wanted)
    (volume,) = torch.autograd.grad(0.5 * torch.logdet(metric.at(z).inverse).sum(), z)
    torch.testing.assert_close(metric.force(metric.at(z)), volume)


def test_the_generalised_leapfrog_leads_back(metric):
    torch.manual_seed(0)
    z, momentum = torch.randn(2, 7, 2).double()
    there, turned = (each.detach() for each in walk(metric, z, momentum))
    assert float((there - z).abs().max()) > 0.3
    back, again = walk(metric, there, -turned)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-6)
    torch.testing.assert_close(-again, momentum, rtol=0, atol=1e-6)


def test_it_keeps_volumes_and_nearly_the_energy(metric):
    torch.manual_seed(0)
    for start in torch.randn(3, 4).double():
        matrix = jacobian(lambda both: torch.cat(walk(metric, both[:2], both[2:])), start)
        assert abs(float(torch.linalg.slogdet(matrix)[1])) < 1e-6
        z, momentum = (each.detach() for each in walk(metric, start[:2], start[2:]))
        before = wavy(start[:2]) + metric.log_density(metric.at(start[:2]), start[2:])
        after = wavy(z) + metric.log_density(metric.at(z), momentum)
        assert abs(float(after - before)) < 0.05


def constant(posterior):
    """A metric that is the identity everywhere."""
    posterior.floor = 1.0
    posterior.metric = lambda: Metric(torch.zeros(1, 2).double(), torch.zeros(1, 2, 2).double(), 1.0, 1.0)
    return posterior


def test_under_a_constant_metric_it_is_posterior_hmc():
    found = []
    for posterior in (
        HMCPosterior((3,), (2,)),
        constant(RHVAEPosterior((3,), (2,), centroids=3, iterations=2)),
    ):
        torch.manual_seed(1)
        head = torch.nn.Linear(3, 4).double()
        posterior.double().head.load_state_dict(head.state_dict())
        q = posterior(torch.randn(5, 3).double(), wavy)
        torch.manual_seed(2)
        z = q.rsample((4,))
        found.append((z, q.log_prob(z)))
    for plain, curved in zip(*found, strict=True):
        torch.testing.assert_close(curved, plain, rtol=0, atol=1e-9)


def test_weights_of_its_draws_have_the_mean_of_the_evidence():
    """``E[w] = p(x)``, with a metric that changes from place to place and momenta that start hot."""
    torch.manual_seed(1)
    posterior = RHVAEPosterior((3,), (2,), centroids=5, step=0.15, iterations=20, floor=0.2)
    posterior.factors[-1].bias.data.normal_()
    model = reference_model(posterior=posterior)
    layer, head = model.network.layer, posterior.head
    precision = 1 + layer.weight.square().sum(0) / 0.25
    with torch.no_grad():
        # It starts at the exact posterior, so that weights vary little.
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:2] = (layer.weight / 0.25 / precision).T
        head.bias[:2] = -head.weight[:2] @ layer.bias
        log_scale = -0.5 * precision.log()
        head.bias[2:] = log_scale / (1 - (log_scale / 9).square()).sqrt()
        x = layer.bias + 1.2 * torch.randn(20, 3).double()
        ratios = (model.log_weights(x, 3000) - exact_log_density(model, x)).exp()
    error = ratios.std(0) / math.sqrt(3000)
    assert 1e-3 < float(error.max()) < 0.05
    assert ((ratios.mean(0) - 1).abs() < 4.5 * error).all()


def test_the_default_iterations_are_enough_where_it_is_trained():
    """Twice as many change no draw of a model that has learned for a while by a thousandth."""
    model = build("rhvae", encoder=SMALL, settings={"posterior.centroids": 50}).double()
    genmod.train(model, steps=60, batch_size=64, lr=3e-3, device="cpu")
    x = torch.rand(20, 1, 8, 8).round().double()
    found = []
    for iterations in (model.posterior.iterations, 50):
        model.posterior.iterations = iterations
        torch.manual_seed(0)
        q = model.encode(x)
        z = q.rsample((3,))
        found.append((z.detach(), q.log_prob(z).detach()))
    for few, many in zip(*found, strict=True):
        assert float((few - many).abs().max()) < 1e-3


def test_centroids_follow_the_encoder_and_are_saved(tmp_path):
    model = build("rhvae", encoder=SMALL, settings={"posterior.centroids": 20}, latent=2)
    genmod.train(model, steps=30, batch_size=64, device="cpu", directory=tmp_path / "run")
    posterior = genmod.load(tmp_path / "run", weights="last").posterior
    assert posterior.prepared
    assert len(posterior.examples.unique(dim=0)) == 20
    again = genmod.load(tmp_path / "run", weights="last")
    q = again.posterior(again.features(posterior.examples))
    # The 30th step was one after which they were encoded.
    torch.testing.assert_close(posterior.centres, q.start.mean)
    matrices = posterior.metric().matrices
    assert (torch.linalg.eigvalsh(matrices) > 0).all()
    genmod.train(again, steps=1, batch_size=64, device="cpu")
    assert torch.equal(again.posterior.examples, posterior.examples)


def test_what_is_refused():
    for changed, match in (
        ({"latent": (2, 2)}, "vectors"),
        ({"latent": 65}, "at most 64"),
        ({"condition": "label"}, "have no label"),
    ):
        with pytest.raises(UsageError, match=match) as raised:
            build("rhvae", encoder=SMALL, **changed)
        assert raised.value.hint
    model = build("rhvae", encoder=SMALL, settings={"posterior.centroids": 5000})
    with pytest.raises(UsageError, match="5000 centroids, to be taken from"):
        genmod.train(model, steps=1, device="cpu")
