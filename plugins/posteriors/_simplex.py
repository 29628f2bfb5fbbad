"""The simplex: its support for latents of any shape, and relaxed categorical values on it."""

import math
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint
from torch.nn.functional import one_hot

from genmod import UsageError
from genmod.distributions import drawn_on_simplex, log_of, register_kl_by_variable

__all__ = ["OneHot", "RelaxedOneHot", "require_classes", "stacked"]


def stacked(base: Constraint, latent_shape: tuple[int, ...]) -> Constraint:
    """A support of vectors, for each of the vectors in a latent.

    Example:
        >>> stacked(constraints.simplex, (4, 3)).event_dim
        2
    """
    return base if len(latent_shape) == 1 else constraints.independent(base, len(latent_shape) - 1)


def require_classes(what: str, latent_shape: tuple[int, ...]) -> int:
    """The number of classes of each categorical latent, the last number of the latent shape.

    Raises:
        UsageError: there are fewer than two.
    """
    if latent_shape[-1] < 2:
        raise UsageError(
            f"{what} needs 2 or more classes, the last number of the latent shape, which is {latent_shape}",
            hint="for example: --latent 16",
        )
    return latent_shape[-1]


class _Classes(Distribution):
    """Vectors over classes by their logits, ``(*batch, *event_shape)``, of which an event holds one or several."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float, event_dims: int) -> None:
        self.logits = logits.log_softmax(-1)
        self.temperature = temperature
        self.event_dims = event_dims
        batch = logits.dim() - event_dims
        super().__init__(logits.shape[:batch], logits.shape[batch:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> Self:
        return type(self)(
            self.logits.expand(*batch_shape, *self.event_shape), self.temperature, self.event_dims
        )

    def summed(self, each: Tensor) -> Tensor:
        """The sum over the vectors of an event of a number of each, ``(*batch, *vectors) → (*batch)``."""
        return each.flatten(each.dim() - self.event_dims + 1).sum(-1) if self.event_dims > 1 else each


@final
class RelaxedOneHot(_Classes):
    """Points of a simplex near its corners: a softmax of logits with Gumbel noise.

    ``z = softmax((l + g)/τ)``, ``log p(z) = log Γ(K) + (K-1) log τ - Σ log z + Σ_k a_k - K log Σ_k exp(a_k)``,
    ``a_k = l_k - τ log z_k``

    A draw keeps ``log z``, and its density is evaluated there.

    Args:
        logits: ``(*batch, *event_shape)``, the last dimension of size K.
        temperature: ``τ > 0``.
        event_dims: how many of the last dimensions are one event; densities are summed over the vectors in it.

    Reference:
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712

    Example:
        >>> RelaxedOneHot(torch.zeros(5, 4, 3), 0.5, 2).rsample().sum(-1).mean()
        tensor(1.)
    """

    @property
    def support(self) -> Constraint:
        return stacked(constraints.simplex, tuple(self.event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = torch.empty(
            (*sample_shape, *self.logits.shape), dtype=self.logits.dtype, device=self.logits.device
        )
        # The logarithm of an exponential draw; that of a uniform one is infinite now and then.
        gumbel = -noise.exponential_().clamp(min=torch.finfo(noise.dtype).tiny).log()
        return drawn_on_simplex((self.logits + gumbel) / self.temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        k = value.shape[-1]
        log_z = log_of(value)
        a = self.logits - self.temperature * log_z
        constant = math.lgamma(k) + (k - 1) * math.log(self.temperature)
        return self.summed(constant - log_z.sum(-1) + (a - a.logsumexp(-1, keepdim=True)).sum(-1))


@final
class OneHot(_Classes):
    """One class each, as vectors of zeros and a one, with the gradient of a relaxation.

    ``P(z) = softmax(l)[k(z)]``; draws are exact, ``d z := d softmax((l + g)/τ)``

    Args:
        logits: ``(*batch, *event_shape)``, the last dimension of size K.
        temperature: ``τ > 0`` of the gradient alone.
        event_dims: how many of the last dimensions are one event.

    Reference:
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2016), arXiv:1611.01144, section 2.2

    Example:
        >>> OneHot(torch.zeros(4), 0.5, 1).sample().sum()
        tensor(1.)
    """

    @property
    def support(self) -> Constraint:
        return stacked(constraints.one_hot, tuple(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.logits.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        soft = RelaxedOneHot(self.logits, self.temperature, self.event_dims).rsample(sample_shape)
        hard = one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
        # In this order: hard - soft + soft is not hard to the last bit.
        return hard + (soft - soft.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        return self.summed((self.logits * value).sum(-1))

    def entropy(self) -> Tensor:
        return self.summed(-(self.logits.exp() * self.logits).sum(-1))


@register_kl_by_variable(OneHot, OneHot)
@register_kl_by_variable(RelaxedOneHot, RelaxedOneHot)
def _by_variable(q: Any, p: Any) -> tuple[Distribution, Distribution]:
    """Each vector of the event by itself."""
    one, other = (type(each)(each.logits, each.temperature, 1) for each in (q, p))
    return one, other
