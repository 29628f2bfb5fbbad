"""Exact negative log-likelihood of the models that have one."""

from collections.abc import Callable, Iterator, Mapping
from typing import final

from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod import Metric, Row, Subject, Undefined, UndefinedError
from genmod.plugins.metrics._enumeration import log_marginal, states
from genmod.plugins.metrics._likelihood import Estimate, likelihood_rows
from genmod.plugins.metrics._linear_gaussian import LinearGaussian, linear_gaussian
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot

__all__ = ["Exact"]

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
        latents = _exact(model.prior(model.context(first)))
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
        size = 500 if model.conditions is None else 25
        yield from likelihood_rows(subject, "exact", estimate, "-log p(x), a normal density", size=size)

    def _enumerated(self, subject: Subject, every: Tensor) -> Iterator[Row | Undefined]:
        model = subject.model
        z = every.to(model.device, model.dtype)
        relaxed = not (model.prior.support and model.prior.support.is_discrete)
        settings = {"method": "sum over all states", "states": len(z), "relaxed": relaxed}

        def estimate(
            x: Tensor, context: Tensor | None, on_progress: Callable[[int], None]
        ) -> Mapping[str, Estimate]:
            prior = _exact(model.prior(context))
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
