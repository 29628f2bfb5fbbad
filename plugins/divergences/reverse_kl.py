"""Reverse Kullback-Leibler divergence."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod import Divergence, Doc, UndefinedError
from genmod.distributions import by_variable, name_of, own_reason, refuse_draws_alone

__all__ = ["ReverseKL", "reverse_kl"]


@final
class ReverseKL(Divergence):
    """``KL(p ‖ q) = E_p[log p(z) - log q(z)]``, nats: large for a posterior that leaves out parts of the prior.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the draws of ``q`` are not used. In closed form, or, with
    ``samples``, estimated from draws of the prior, for any pair with densities.

    Reference:
        On Information and Sufficiency (Kullback and Leibler, 1951), doi:10.1214/aoms/1177729694

    Raises:
        UndefinedError: no closed form is known for this pair of types.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> ReverseKL()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((1,)))
        tensor([1., 1., 1.])
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(0), Doc("draws of the prior to estimate from; 0 for the closed form")] = 0,
    ) -> None:
        super().__init__()
        self.samples = samples

    def check(self, q: Distribution, p: Distribution) -> None:
        refuse_draws_alone(q, "divergence 'reverse-kl'")
        reverse_kl(q, p, self.samples)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return reverse_kl(q, p, self.samples)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return super().by_dimension(q, p, z) if self.samples else by_variable(self, q, p, z)


def reverse_kl(q: Distribution, p: Distribution, samples: int) -> Tensor:
    """``KL(p ‖ q)`` in closed form, or from draws of ``p`` where ``samples`` is not 0; ``(B,)``, nats.

    Raises:
        UndefinedError: no closed form is known.

    Example:
        >>> import torch
        >>> p = torch.distributions.Normal(torch.tensor(0.0), torch.tensor(1.0))
        >>> reverse_kl(torch.distributions.Normal(torch.ones(3), torch.ones(3)), p, 0)
        tensor([0.5000, 0.5000, 0.5000])
    """
    if samples:
        z = p.rsample((samples,)) if p.has_rsample else p.sample((samples,))
        if not p.batch_shape:
            # The same draws for every example.
            z = z.unsqueeze(1)
        log_p = p.log_prob(z)
        ratios = log_p - q.log_prob(z)
        if not p.has_rsample:
            # The part of the gradient that comes from how the draws move when the prior is learned.
            ratios = ratios + ratios.detach() * (log_p - log_p.detach())
        return ratios.mean(0)
    try:
        return kl_divergence(p, q)
    except NotImplementedError as error:
        raise UndefinedError(
            f"no closed form of the reverse KL is known for posterior {name_of(q)} and prior {name_of(p)}{own_reason(error)}",
            hint="estimate it from draws of the prior: -s divergence.samples=100, or use --divergence kl-mc",
        ) from None
