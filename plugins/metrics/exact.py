"""Exact negative log-likelihood of the models that have one."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints
from torch.distributions.constraints import Constraint

from genmod import LatentVariableModel, Metric, Row, Subject, Undefined, UndefinedError
from genmod.plugins.metrics._likelihood import Estimate, likelihood_rows
from genmod.plugins.metrics._linear_gaussian import LinearGaussian, linear_gaussian
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot
from genmod.system import bytes_per_row

__all__ = ["Exact", "log_marginal", "states"]

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


_MEMORY = 2**26


@final
class Exact(Metric):
    """The negative log-likelihood itself, where it can be computed.

    - linear and Gaussian: a normal prior and a ``gaussian`` decoder whose mean is linear in the latents and whose scale
      does not depend on them; ``log p(x) = log N(x; b, A Aᵀ + σ²)``, in double precision;
    - few discrete latents: ``log p(x) = log Σ_z p(z) p(x|z)`` over all of at most 100,000 states. For relaxed latents it is
      the likelihood of the model with exact ones, each as probable as it is the largest; ``nll`` bounds the likelihood of
      the relaxed model.

    Other models are refused.

    Reference:
        Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), doi:10.1111/1467-9868.00196;
        Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse (Lucas et al., 2019), arXiv:1911.02469

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> model = build(encoder="identity", network="linear", latent=2, decoder={"name": "gaussian", "scale": 0.5})
        >>> evaluate(model, TensorSplit(Batch(torch.zeros(4, 1, 8, 8))), "exact")["nll[exact]"].n
        4
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        if model.missing_densities():
            raise UndefinedError(f"the model has no likelihood: {model.missing_densities()}")
        first = subject.split.__getitems__([0])
        latents = _exact(model.given(model.context(first)).prior())
        if getattr(latents.support, "is_discrete", False):
            yield from self._enumerated(subject, states(latents.support, model.latent_shape))
        else:
            yield from self._linear(subject)

    def _linear(self, subject: Subject) -> Iterator[Row | Undefined]:
        model = subject.model
        known: LinearGaussian | None = None

        def estimate(
            x: Tensor, context: Tensor | None, on_progress: Callable[[int], None]
        ) -> Mapping[str, Estimate]:
            nonlocal known
            if known is None or context is not None:
                known = linear_gaussian(model, context)
            return {"exact": Estimate(known.log_prob(x), settings={"method": "linear and Gaussian"})}

        # Of a conditional model each example has a map of its own.
        size = 25 if model.wants_context else 500
        yield from likelihood_rows(subject, "exact", estimate, "-log p(x), a normal density", size=size)

    def _enumerated(self, subject: Subject, every: Tensor) -> Iterator[Row | Undefined]:
        model = subject.model
        z = every.to(model.device, model.dtype)
        relaxed = not (model.prior.support and model.prior.support.is_discrete)
        settings = {"method": "sum over all states", "states": len(z), "relaxed": relaxed}

        def estimate(
            x: Tensor, context: Tensor | None, on_progress: Callable[[int], None]
        ) -> Mapping[str, Estimate]:
            prior = _exact(model.given(context).prior())
            found = log_marginal(model, prior, z, x, context, _MEMORY)
            return {"exact": Estimate(found, settings=settings)}

        definition = "-log Σ_z p(z) p(x|z)" + " of the model with exact latents" * relaxed
        yield from likelihood_rows(subject, "exact", estimate, definition, size=100)


def _exact(p: Distribution) -> Distribution:
    """The distribution of exact latents where these are relaxed ones, else the distribution itself."""
    if isinstance(p, RelaxedOneHot):
        return OneHot(p.logits, 1.0, p.event_dims)
    if isinstance(p, Independent) and isinstance(p.base_dist, RelaxedBit):
        bits = Bit(p.base_dist.logits, 1.0)
        return Independent(bits, p.reinterpreted_batch_ndims, validate_args=False)
    return p
