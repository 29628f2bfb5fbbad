"""Linear-Gaussian models of genmod's parts, and what is known of them."""

import math
from types import SimpleNamespace

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, compose
from genmod.model.assembly import assemble

SIGMA = 0.5


def linear(seed=0, dims=6, latent=3, size=3.0):
    """A model in double precision: ``x = W z + b + σ ε``, its weights ``size`` times as large as initialised."""
    info = DataInfo((dims,), low=-math.inf, high=math.inf)
    components = {
        "encoder": "identity",
        "network": "linear",
        "posterior": "normal-full",
        "decoder": {"name": "gaussian", "scale": SIGMA},
    }
    model = assemble(compose(components=components, latent=latent), info, seed=seed).double().eval()
    with torch.no_grad():
        model.network.layer.weight.mul_(size)
    return model


def truth(model, x):
    """``log N(x; b, W Wᵀ + σ²)``, by torch's own multivariate normal."""
    weight, bias = model.network.layer.weight.detach(), model.network.layer.bias.detach()
    covariance = weight @ weight.T + SIGMA**2 * torch.eye(len(bias), dtype=torch.float64)
    return torch.distributions.MultivariateNormal(bias, covariance).log_prob(x)


@torch.no_grad()
def make_exact(model):
    """Set the posterior to the exact one: precision ``1 + WᵀW/σ²``, mean linear in ``x - b``."""
    weight, bias = model.network.layer.weight, model.network.layer.bias
    n = weight.shape[1]
    covariance = torch.linalg.inv(torch.eye(n, dtype=torch.float64) + weight.T @ weight / SIGMA**2)
    to_mean = covariance @ weight.T / SIGMA**2
    scales = covariance.diagonal().sqrt()
    factor = torch.linalg.cholesky(covariance / scales / scales[:, None])
    below = (factor / factor.diagonal()[:, None])[*torch.tril_indices(n, n, -1)]
    model.posterior.head.weight.zero_()
    model.posterior.head.weight[:n] = to_mean
    model.posterior.head.bias.copy_(torch.cat([-to_mean @ bias, _raw(scales.log()), _raw(below)]))


def _raw(bounded):
    """What :func:`genmod.bounded_log_scale` maps to these."""
    return bounded / (1 - (bounded / 9) ** 2).sqrt()


@torch.no_grad()
def drawn(model, n=20, seed=1):
    """Examples that the model makes, ``(n, dims)``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model.decode(model.prior().sample((n,))).sample()


def split_of(x):
    return TensorSplit(Batch(x))


@pytest.fixture(scope="session")
def models():
    return SimpleNamespace(
        linear=linear, truth=truth, make_exact=make_exact, drawn=drawn, split_of=split_of, sigma=SIGMA
    )
