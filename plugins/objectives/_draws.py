"""Draws of the latents with their log-densities, from which bounds on ``log p(x)`` are computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, GivenModel, Objective
from genmod.distributions import refuse_draws_alone, through_draws

__all__ = ["DrawCount", "Draws", "Weighted", "check_path", "log_mean_exp", "weigh"]

DrawCount = Annotated[int, Ge(1), Doc("draws of the latents for each example, K")]


class Weighted(Objective):
    """An objective of ``K`` weighted draws, whose rate is estimated from these and needs no divergence."""

    uses_divergence = False
    needs_densities = True

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples


@dataclass(frozen=True)
class Draws:
    """Log-densities at draws ``z ~ q(z|x)``, each ``(*samples, B)``, nats.

    Args:
        log_likelihood: ``log p(x|z)``.
        log_prior: ``log p(z)``.
        log_posterior: ``log q(z|x)``.
    """

    log_likelihood: Tensor
    log_prior: Tensor
    log_posterior: Tensor

    @property
    def log_weights(self) -> Tensor:
        """``log w = log p(x|z) + log p(z) - log q(z|x)``."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    def values(self) -> Mapping[str, Tensor]:
        """ELBO, distortion and rate of each example, means over its draws, ``(B,)`` each."""
        distortion = -self.log_likelihood.flatten(0, -2).mean(0)
        rate = (self.log_posterior - self.log_prior).flatten(0, -2).mean(0)
        return {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}


def weigh(model: GivenModel, x: Tensor, q: Distribution, z: Tensor, *, path_only: bool = False) -> Draws:
    """The log-densities of draws.

    Args:
        model: whose prior and decoder.
        x: observations, ``(B, *data_shape)``.
        q: their posterior.
        z: draws of it, ``(*samples, B, *latent_shape)``.
        path_only: let gradients reach the posterior through the draws alone, not through its density.

    Example:
        >>> import genmod, torch
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> x = torch.zeros(3, 1, 8, 8)
        >>> q = model.encode(x)
        >>> weigh(model, x, q, q.rsample((5,))).log_weights.shape
        torch.Size([5, 3])
    """
    log_likelihood, log_prior = model.decode(z).log_prob(x), model.prior().log_prob(z)
    return Draws(log_likelihood, log_prior, through_draws(q.log_prob, z) if path_only else q.log_prob(z))


def check_path(model: GivenModel, name: str) -> None:
    """Refuse an objective whose gradient takes the density of the posterior at values that are no draws of it.

    Raises:
        UndefinedError: it is known for its draws alone.
    """
    features = torch.zeros(1, *model.encoder.feature_shape, device=model.device, dtype=model.dtype)
    with torch.no_grad():
        refuse_draws_alone(model.posterior(features), f"objective {name!r}")


def log_mean_exp(x: Tensor, dim: int) -> Tensor:
    """``log(1/K Σ_k exp(x_k))`` over a dimension of size K.

    Example:
        >>> import torch
        >>> log_mean_exp(torch.tensor([1.0, 1.0, 1.0]), 0)
        tensor(1.)
    """
    return x.logsumexp(dim) - math.log(x.shape[dim])
