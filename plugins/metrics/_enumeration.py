"""Sums over all states of discrete latents."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint

from genmod import LatentVariableModel, UndefinedError
from genmod.system import bytes_per_row

__all__ = ["log_marginal", "states"]

_MOST = 100_000


def states(support: Constraint | None, latent_shape: tuple[int, ...]) -> Tensor:
    """Every value of discrete latents, ``(n, *latent_shape)``.

    Args:
        support: zeros and ones, or vectors of zeros and a one.
        latent_shape: of one latent.

    Raises:
        UndefinedError: it is another support, or has more than 100,000 values.

    Example:
        >>> states(constraints.one_hot, (2,)), len(states(constraints.independent(constraints.boolean, 1), (10,)))
        (tensor([[0., 1.],
                [1., 0.]]), 1024)
    """
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if isinstance(base, type(constraints.boolean)):
        choices, places = torch.tensor([[0.0], [1.0]]), math.prod(latent_shape)
    elif isinstance(base, type(constraints.one_hot)):
        choices, places = torch.eye(latent_shape[-1]).flip(0), math.prod(latent_shape[:-1])
    else:
        raise UndefinedError("its latents are not discrete")
    if places * math.log(len(choices)) > math.log(_MOST) + 1e-9:
        raise UndefinedError(
            f"its latents have {len(choices)}^{places} states, of which no more than {_MOST:,} are summed over; metric nll"
            " draws some"
        )
    chosen = torch.cartesian_prod(*[torch.arange(len(choices))] * places)
    return choices[chosen].reshape(-1, *latent_shape)


def log_marginal(
    model: LatentVariableModel, prior: Distribution, z: Tensor, x: Tensor, context: Tensor | None, memory: int
) -> Tensor:
    """``log p(x) = log Σ_z p(z) p(x|z)`` over all latents, ``(B,)`` float64, nats.

    Args:
        model: whose decoder.
        prior: of the latents; of ``batch_shape (B,)`` where it depends on the conditions.
        z: every latent, ``(n, *latent_shape)``.
        x: observations, ``(B, *data.shape)``.
        context: conditions of each, ``(B, size)``, of a conditional model.
        memory: bytes that may be taken, about.

    Raises:
        UndefinedError: the probabilities of the latents do not add up to one, so that these are not all.
    """
    given = model.given(context)

    def joint(part: Tensor) -> Tensor:
        """``log p(x, z)``, ``(n, B)``."""
        latents = part[:, None]
        if context is not None:
            latents = latents.expand(-1, len(x), *part.shape[1:])
        # What is decoded once is scored against every example.
        return given.decode(latents).log_prob(x).double() + prior.log_prob(latents).double()

    mass = prior.log_prob(z[:, None]).double().logsumexp(0)
    if not bool((mass.abs() < 1e-3).all()):
        raise UndefinedError("the probabilities of its latents do not add up to one")
    step = max(1, memory // bytes_per_row(lambda rows: joint(z[:rows])))
    total = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    for start in range(0, len(z), step):
        total = torch.logaddexp(total, joint(z[start : start + step]).logsumexp(0))
    return total
