"""Draws of priors, for divergences that use these alone."""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod import UndefinedError

__all__ = ["check_draws", "draws_of"]

_LEARNED: "WeakKeyDictionary[Distribution, bool]" = WeakKeyDictionary()
"""Whether a density that has been asked for has a gradient: some are integrals, which take long."""


def draws_of(p: Distribution, z: Tensor) -> Tensor:
    """As many draws of a prior as there are of a posterior, ``z (K, B, *latent_shape)``, with their gradient.

    Example:
        >>> from genmod import diagonal_normal
        >>> draws_of(diagonal_normal(torch.zeros(2), torch.zeros(2), 1), torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3, 2])
    """
    shape = z.shape[:1] if p.batch_shape else z.shape[:2]
    return p.rsample(shape) if p.has_rsample else p.sample(shape)


def check_draws(q: Distribution, p: Distribution) -> None:
    """Refuse a divergence that uses the draws of a prior alone, where the prior is learned and they have no gradient.

    Draws nothing: it is called before there are values.

    Raises:
        UndefinedError: the prior would never learn; the hint says which divergence trains it.
    """
    if p.has_rsample:
        return
    if p not in _LEARNED:
        _LEARNED[p] = p.log_prob(torch.zeros(1, *q.batch_shape, *q.event_shape)).requires_grad
    if _LEARNED[p]:
        raise UndefinedError(
            f"the prior, a {type(p).__name__}, is learned, but its draws cannot be differentiated",
            hint="choose a divergence that uses its density (--divergence kl-mc), or a prior that is not learned",
        )
