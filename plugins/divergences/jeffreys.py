"""Jeffreys divergence: the symmetric Kullback-Leibler divergence."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod import Divergence, Doc, UndefinedError
from genmod.distributions import by_variable, name_of, own_reason, refuse_draws_alone
from genmod.plugins.divergences.reverse_kl import reverse_kl

__all__ = ["Jeffreys"]


@final
class Jeffreys(Divergence):
    """``KL(q ‖ p) + KL(p ‖ q)``, nats.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``. In closed form, and the draws are not used; or, with
    ``samples``, the first term is estimated from these draws and the second from draws of the prior.

    Reference:
        An Invariant Form for the Prior Probability in Estimation Problems (Jeffreys, 1946),
        doi:10.1098/rspa.1946.0056

    Raises:
        UndefinedError: no closed form is known for this pair of types.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> Jeffreys()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((1,)))
        tensor([2., 2., 2.])
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(0), Doc("draws of the prior to estimate from; 0 for the closed form")] = 0,
    ) -> None:
        super().__init__()
        self.samples = samples

    def check(self, q: Distribution, p: Distribution) -> None:
        refuse_draws_alone(q, "divergence 'jeffreys'")
        if not self.samples:
            _closed(q, p)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if not self.samples:
            return _closed(q, p)
        return (q.log_prob(z) - p.log_prob(z)).mean(0) + reverse_kl(q, p, self.samples)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return super().by_dimension(q, p, z) if self.samples else by_variable(self, q, p, z)


def _closed(q: Distribution, p: Distribution) -> Tensor:
    try:
        return kl_divergence(q, p) + kl_divergence(p, q)
    except NotImplementedError as error:
        raise UndefinedError(
            f"no closed form of the Jeffreys divergence is known for {name_of(q)} and {name_of(p)}{own_reason(error)}",
            hint="estimate it from draws: -s divergence.samples=100, or use --divergence kl-mc",
        ) from None
