"""Gradient estimators: tensors whose gradient is not that of their value.

The gradient of a Monte-Carlo objective has two parts: one through the draws, ``z = z(φ, ε)``, and one through
the parameters of the densities, which for ``log q`` (the score) is zero in expectation and only adds variance. These
functions leave parts out, for any kind of distribution.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod.defaults import NORMAL_LATENTS
from genmod.errors import UndefinedError
from genmod.system.draws import changed, keeps_own
from genmod.system.uncompiled import uncompiled

__all__ = ["refuse_draws_alone", "through_draws", "with_gradient_of"]


def with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """A tensor with the value of ``value`` and the gradient of ``surrogate``, all of one shape.

    Example:
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> y = with_gradient_of(x, x**2)
        >>> y.item(), torch.autograd.grad(y, x)[0].item()
        (3.0, 6.0)
    """
    # surrogate - surrogate is zero unless it is infinite, and then the value is invalid too.
    return value.detach() + (surrogate - surrogate.detach())


# Calls of autograd cannot be compiled, nor can tensor subclasses for draws be passed to compiled code.
@uncompiled
def through_draws(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """``function(z)`` whose gradient flows through ``z`` alone, not through parameters of the function.

    For ``function = q.log_prob`` this leaves out the score, as in sticking the landing.

    Args:
        function: ``z (*batch, *event) → (*batch)``; each value depends on its own ``z`` alone.
        z: draws, ``(*batch, *event)``.

    Returns:
        ``(*batch)``, the values of ``function(z)``.

    Reference:
        Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference
        (Roeder et al., 2017), arXiv:1703.09194

    Example:
        >>> loc = torch.zeros(1, requires_grad=True)
        >>> q = torch.distributions.Normal(loc, 1.0)
        >>> z = loc + torch.tensor([2.0])
        >>> torch.autograd.grad(q.log_prob(z).sum(), loc, retain_graph=True)[0].item()
        0.0
        >>> torch.autograd.grad(through_draws(q.log_prob, z).sum(), loc)[0].item()
        -2.0
    """
    if not (torch.is_grad_enabled() and z.requires_grad):
        return function(z).detach()
    sources: list[Tensor] = []
    leaves: list[Tensor] = []

    def leaf_of(source: Tensor) -> Tensor:
        sources.append(source)
        leaves.append(source.detach().requires_grad_())
        return leaves[-1]

    values = function(changed(z, leaf_of))
    slopes = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
    # The function may compute the value of its own draws more precisely.
    found = function(z).detach() if keeps_own(z) else values.detach()
    event = tuple(range(values.dim(), z.dim()))
    for slope, source, leaf in zip(slopes, sources, leaves, strict=True):
        if slope is not None:
            moved = source - leaf.detach()
            # Parts of a product that keep no unrounded value have NaN there.
            change = slope * (moved.nan_to_num() if getattr(z, "partly", False) else moved)
            found = found + (change.sum(event) if event else change)
    return found


def refuse_draws_alone(q: Distribution, what: str) -> None:
    """Refuse a posterior whose density is known for its own draws alone, where it is needed for other values.

    Such a distribution has an attribute ``draws_alone``.

    Args:
        q: a posterior.
        what: name of what needs its density, for the message.

    Raises:
        UndefinedError: the density of ``q`` is known for its own draws alone.
    """
    if getattr(q, "draws_alone", False):
        raise UndefinedError(
            f"{what} needs the density of the posterior at any point, and that of a {type(q).__name__} is known for "
            "its own draws alone",
            hint=f"choose one that needs the density of draws only, or latents with a density at any point: {NORMAL_LATENTS}",
        )
