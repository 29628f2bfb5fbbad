"""Closed-form Kullback-Leibler divergence."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod import Divergence, UndefinedError
from genmod.distributions import by_part, by_variable, name_of, own_reason, parts_of

__all__ = ["KL"]


@final
class KL(Divergence):
    """``KL(q ‖ p) = E_q[log q(z) - log p(z)]`` in closed form, nats.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the closed form is looked up by the two types in those of
    :func:`torch.distributions.kl.register_kl`; so are its parts (see :mod:`genmod.distributions.kl`). The draws are used
    only where some latents depend on others: it is then the sum of closed forms, each given draws of those others, and
    right in expectation.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114, appendix B

    Raises:
        UndefinedError: no closed form is known for this pair of types.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> p = diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> KL()(q, p, torch.zeros(1, 3, 2))
        tensor([1., 1., 1.])
    """

    is_kl = True

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        try:
            return kl_divergence(q, p)
        except NotImplementedError as error:
            if len(parts_of(q, p, z)) > 1:
                return by_part(self, q, p, z).sum(1)
            raise UndefinedError(
                f"no closed form is known for the KL of {name_of(q)} from {name_of(p)}{own_reason(error)}",
                hint="estimate it from draws: --divergence kl-mc",
            ) from None

    def check(self, q: Distribution, p: Distribution) -> None:
        try:
            kl_divergence(q, p)
        except NotImplementedError:
            # Of parts that depend on each other; no values are asked for.
            self(q, p, torch.zeros(1, *q.batch_shape, *q.event_shape))

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return by_variable(self, q, p, z)

    def by_part(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return by_part(self, q, p, z)
