"""Linear-Gaussian models, whose likelihood is known: the whole path against the truth."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from scipy import stats

from genmod import Batch, DataInfo, Dataset, TensorSplit, compose, evaluate, train
from genmod.model.assembly import assemble
from genmod.plugins.datasets.digits import Digits

LINEAR = {
    "encoder": {"name": "mlp", "hidden": []},
    "network": {"name": "mlp", "hidden": []},
    "decoder": {"name": "gaussian", "scale": "learned"},
}
DIMS, LATENT, SIGMA = 6, 3, 0.4


def unbounded(log_scale):
    """What :func:`genmod.bounded_log_scale` maps to a log-scale."""
    return log_scale / math.sqrt(1 - (log_scale / 9) ** 2)


@pytest.fixture
def known():
    """A model with weights set by hand, its exact posterior among them, and its marginal density.

    ``x = W z + b + σ ε`` with orthogonal columns of W, so that the posterior is a diagonal normal: precision
    ``1 + |w_d|²/σ²``, mean ``w_d·(x - b) / (σ² + |w_d|²)``.
    """
    info = DataInfo((DIMS,), low=-math.inf, high=math.inf)
    components = {**LINEAR, "decoder": {"name": "gaussian", "scale": SIGMA}}
    model = assemble(compose(components=components, latent=LATENT), info).double()
    q, _ = torch.linalg.qr(torch.randn(DIMS, DIMS, dtype=torch.float64))
    weight = q[:, :LATENT] * torch.tensor([2.0, 1.0, 0.3], dtype=torch.float64)
    bias = torch.randn(DIMS, dtype=torch.float64)
    norms = weight.square().sum(0)
    with torch.no_grad():
        model.network.layers[0].weight.copy_(weight)
        model.network.layers[0].bias.copy_(bias)
        to_mean = weight.T / (SIGMA**2 + norms)[:, None]
        model.posterior.head.weight.zero_()
        model.posterior.head.weight[:LATENT] = to_mean
        model.posterior.head.bias[:LATENT] = -to_mean @ bias
        for d, norm in enumerate(norms.tolist()):
            model.posterior.head.bias[LATENT + d] = unbounded(-0.5 * math.log(1 + norm / SIGMA**2))
    covariance = weight @ weight.T + SIGMA**2 * torch.eye(DIMS, dtype=torch.float64)
    marginal = stats.multivariate_normal(bias.numpy(), covariance.numpy())
    x = torch.from_numpy(marginal.rvs(64, random_state=1))
    return model, x, torch.from_numpy(marginal.logpdf(x.numpy()))


@torch.no_grad()
@pytest.mark.parametrize("samples", [1, 2, 7, 100])
def test_weights_are_the_marginal_where_the_posterior_is_exact(known, samples):
    """Every draw has the weight ``p(x)``, so that the importance-weighted bound is exact for any K."""
    model, x, exact = known
    weights = model.log_weights(x, samples)
    assert weights.shape == (samples, len(x))
    assert (weights - exact).abs().max() < 1e-10
    bound = weights.logsumexp(0) - math.log(samples)
    assert (bound - exact).abs().max() < 1e-10


@torch.no_grad()
def test_elbo_is_the_marginal_where_the_posterior_is_exact(known):
    """Up to the noise of the distortion, whose average over draws is exact: 4 standard errors."""
    model, x, exact = known
    elbos = torch.stack([model.terms(x).values["elbo"] for _ in range(2000)])
    error = elbos.std(0) / len(elbos) ** 0.5
    assert ((elbos.mean(0) - exact).abs() <= 4.5 * error).all()
    row = evaluate(model, TensorSplit(Batch(x)), "elbo[500]")["elbo"]
    assert row.value == pytest.approx(exact.mean().item(), abs=0.02)


@torch.no_grad()
def test_bounds_are_ordered(known):
    """ELBO ≤ bound of 5 draws ≤ bound of 50 ≤ log p(x) when the posterior is wrong."""
    model, x, exact = known
    model.posterior.head.bias[LATENT:] += 0.8
    model.posterior.head.bias[:LATENT] += 0.3
    weights = model.log_weights(x, 20_000).double()
    bounds = []
    for k in (1, 5, 50):
        groups = weights.view(-1, k, len(x)).logsumexp(1) - math.log(k)
        bounds.append((groups.mean(0).mean(), groups.mean(1).std() / len(groups) ** 0.5))
    bounds.append((exact.mean(), torch.tensor(0.0)))
    for (low, error_low), (high, error_high) in itertools.pairwise(bounds):
        assert high - low > 3 * (error_low**2 + error_high**2).sqrt()


@torch.no_grad()
def test_mean_weight_is_the_marginal_whatever_the_posterior(known):
    """``E_q[p(x, z) / q(z)] = p(x)`` for a posterior that is too wide: an unbiased estimate of the likelihood."""
    model, x, exact = known
    model.posterior.head.bias[LATENT:] += 0.5
    ratios = (model.log_weights(x, 20_000) - exact).exp()
    error = ratios.std(0) / len(ratios) ** 0.5
    assert ((ratios.mean(0) - 1).abs() <= 4.5 * error).all()


class _Digits(Dataset):
    """The training digits for training, many times over, and for everything else: PCA knows no other split."""

    info = Digits(Path()).info

    def split(self, name):
        x = self.info.values(Digits(self.root).split("train").batch.x)
        return TensorSplit(Batch(x.repeat(20, 1, 1, 1) if name == "train" else x))


@pytest.mark.slow
def test_linear_vae_reaches_probabilistic_pca(tmp_path):
    """Trained as any model is, it ends within 0.05 nats of the maximum likelihood of 8 components."""
    from sklearn.decomposition import PCA

    data = _Digits(tmp_path)
    model = assemble(compose(components=LINEAR, latent=8), data.info)
    x = data.split("test").batch.x.flatten(1).double().numpy()
    reference = PCA(8).fit(x).score(x)
    train(
        model,
        data,
        steps=2000,
        batch_size=256,
        lr=0.03,
        schedule="cosine",
        optimizer_options={"betas": [0.9, 0.95]},
        device="cpu",
        log_every=1000,
    )
    elbo = evaluate(model, data.split("test"), "elbo[100]")["elbo"].value
    assert reference - 0.05 < elbo < reference + 0.01
