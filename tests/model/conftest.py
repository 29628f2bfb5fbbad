"""A linear model with normal noise, of which everything is known."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from genmod import DataInfo, compose
from genmod.model.assembly import assemble

SIGMA = 0.6


@dataclass(frozen=True)
class Linear:
    """``x = W z + b + σ ε`` in four dimensions, and its normal distribution in NumPy's double precision.

    Its posterior is wider than the true one and off the mark: that of complete data follows them too little, that of data
    with missing values is the prior.
    """

    model: object
    mean: np.ndarray
    covariance: np.ndarray

    def log_density(self, x):
        """``log N(x; b, W Wᵀ + σ²)`` of the values of ``x (N, 4)`` that are not NaN."""
        found = []
        for row in np.asarray(x, dtype=np.float64):
            seen = ~np.isnan(row)
            gap, part = (row - self.mean)[seen], self.covariance[np.ix_(seen, seen)]
            _, log_det = np.linalg.slogdet(2 * math.pi * part)
            found.append(-0.5 * (gap @ np.linalg.solve(part, gap) + log_det))
        return np.array(found)

    def given(self, row):
        """Mean and covariance of the values that are NaN in ``row (4,)``, given the others."""
        row = np.asarray(row, dtype=np.float64)
        gone = np.isnan(row)
        cross = self.covariance[np.ix_(gone, ~gone)] @ np.linalg.inv(self.covariance[np.ix_(~gone, ~gone)])
        mean = self.mean[gone] + cross @ (row - self.mean)[~gone]
        return mean, self.covariance[np.ix_(gone, gone)] - cross @ self.covariance[np.ix_(~gone, gone)]


@pytest.fixture
def linear():
    def make(**more):
        info = DataInfo((4,), -math.inf, math.inf, **more)
        parts = {
            "encoder": "identity",
            "network": "linear",
            "posterior": "normal-full",
            "decoder": {"name": "gaussian", "scale": SIGMA},
        }
        model = assemble(compose(components=parts, latent=2), info, seed=3).eval()
        weight = torch.tensor([[1.0, 0.0], [0.8, 0.6], [-0.5, 1.0], [0.0, -1.2]])
        with torch.no_grad():
            model.network.layer.weight.copy_(weight)
            model.network.layer.bias.copy_(torch.tensor([0.5, -1.0, 2.0, 0.0]))
            precision = torch.eye(2) + weight.T @ weight / SIGMA**2
            model.posterior.head.weight.zero_()
            model.posterior.head.bias.zero_()
            if not info.missing:
                to_mean = 0.9 * torch.linalg.solve(precision, weight.T) / SIGMA**2
                model.posterior.head.weight[:2] = to_mean
                model.posterior.head.bias[:2] = -to_mean @ model.network.layer.bias
                model.posterior.head.bias[2:4] = (1.4 * torch.linalg.inv(precision).diagonal().sqrt()).log()
        double = weight.double().numpy()
        return Linear(model, np.array([0.5, -1.0, 2.0, 0.0]), double @ double.T + SIGMA**2 * np.eye(4))

    return make
