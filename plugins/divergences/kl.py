"""Closed-form Kullback-Leibler divergence."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence

from genmod.errors import UndefinedError
from genmod.interfaces.divergence import Divergence
from genmod.plugins.posteriors._side_by_side import Product
from genmod.plugins.posteriors._simplex import OneHot

__all__ = ["KL", "name_of"]


@final
class KL(Divergence):
    """``KL(q ‖ p) = E_q[log q(z) - log p(z)]`` in closed form, nats.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the draws are not used. The closed form is looked up by
    the two types, as :func:`torch.distributions.kl.register_kl` knows them.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114, appendix B

    Raises:
        UndefinedError: no closed form is known for this pair of types.

    Example:
        >>> import torch
        >>> from genmod.distributions.normal import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> p = diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> KL()(q, p, torch.zeros(1, 3, 2))
        tensor([1., 1., 1.])
    """

    is_kl = True

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        try:
            return kl_divergence(q, p)
        except NotImplementedError:
            raise UndefinedError(
                f"no closed form is known for the KL of {name_of(q)} from {name_of(p)}",
                hint="estimate it from draws: --divergence kl-mc",
            ) from None

    def check(self, q: Distribution, p: Distribution) -> None:
        self(q, p, None)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if isinstance(q, Independent) and isinstance(p, Independent):
            return self(q.base_dist, p.base_dist, z)
        if isinstance(q, OneHot) and isinstance(p, OneHot):
            by_variable = self(*(OneHot(each.logits, each.temperature, 1) for each in (q, p)), z)
            return by_variable.flatten(1) if q.event_dims > 1 else by_variable[:, None]
        if isinstance(q, Product) and isinstance(p, Product) and q.shapes == p.shapes:
            pairs = zip(q.parts, p.parts, strict=True)
            return torch.cat([self._variables(a, b, z) for a, b in pairs], 1)
        return super().by_dimension(q, p, z)

    def by_part(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if isinstance(q, Product) and isinstance(p, Product) and q.shapes == p.shapes:
            return torch.stack([self(a, b, z) for a, b in zip(q.parts, p.parts, strict=True)], 1)
        return super().by_part(q, p, z)

    def _variables(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """Of a part of a product, ``(B, variables)``; one that does not fall apart is one variable."""
        try:
            return self.by_dimension(q, p, z).flatten(1)
        except UndefinedError:
            return self(q, p, z)[:, None]  # type: ignore[no-any-return]


def name_of(distribution: Distribution) -> str:
    """What a distribution is called in messages.

    Example:
        >>> import torch
        >>> name_of(Independent(torch.distributions.Laplace(torch.zeros(2), torch.ones(2)), 1))
        'independent Laplace'
    """
    if isinstance(distribution, Independent):
        return f"independent {name_of(distribution.base_dist)}"
    return type(distribution).__name__
