"""Binary latents: exact, and relaxed to the numbers between 0 and 1."""

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.nn.functional import softplus

from genmod.distributions import drawn_by_logit, logit_of, with_gradient_of

__all__ = ["Bit", "RelaxedBit"]


@final
class RelaxedBit(Distribution):
    """Numbers near 0 or 1: the sigmoid of a logit with logistic noise.

    ``z = σ(u)``, ``u = (l + g)/τ``, ``log p(z) = log τ + a - 2 log(1 + eᵃ) + 2 log(1 + eᵘ) - u``, ``a = l - τ u``

    A draw keeps its logit ``u``, and its density is evaluated there.

    Args:
        logits: any shape.
        temperature: ``τ > 0``.

    Reference:
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712, appendix B

    Example:
        >>> RelaxedBit(torch.zeros(3), 1.0).log_prob(torch.tensor([0.1, 0.5, 0.9])).exp().round()
        tensor([1., 1., 1.])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float) -> None:
        self.logits, self.temperature = logits, temperature
        super().__init__(logits.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "RelaxedBit":
        return RelaxedBit(self.logits.expand(batch_shape), self.temperature)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = (2, *sample_shape, *self.logits.shape)
        noise = torch.empty(shape, dtype=self.logits.dtype, device=self.logits.device).exponential_()
        # The logarithms of exponential draws; those of uniform ones are infinite now and then.
        first, second = noise.clamp(min=torch.finfo(noise.dtype).tiny).log().unbind(0)
        return drawn_by_logit((self.logits + second - first) / self.temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        logit = logit_of(value)
        a = self.logits - self.temperature * logit
        return a - logit + 2 * (softplus(logit) - softplus(a)) + math.log(self.temperature)


@final
class Bit(Distribution):
    """Zeros and ones, with the gradient of a relaxation.

    ``P(z) = σ(l)^z (1 - σ(l))^(1-z)``; draws are exact, ``d z := d σ((l + g)/τ)``

    Args:
        logits: any shape.
        temperature: ``τ > 0`` of the gradient alone.

    Reference:
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2016), arXiv:1611.01144, section 2.2

    Example:
        >>> Bit(torch.zeros(2), 0.5).log_prob(torch.tensor([0.0, 1.0])).exp()
        tensor([0.5000, 0.5000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.boolean
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float) -> None:
        self.logits, self.temperature = logits, temperature
        super().__init__(logits.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Bit":
        return Bit(self.logits.expand(batch_shape), self.temperature)

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        return self.logits.sigmoid() * (-self.logits).sigmoid()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        soft = RelaxedBit(self.logits, self.temperature).rsample(sample_shape)
        return with_gradient_of((soft > 0.5).to(soft.dtype), soft)

    def log_prob(self, value: Tensor) -> Tensor:
        # The probability of what is likely is near one, and its logarithm the small difference of two large numbers.
        exact = -softplus((1 - 2 * value) * self.logits)
        return with_gradient_of(exact, value * self.logits - softplus(self.logits))

    def entropy(self) -> Tensor:
        return softplus(self.logits) - self.mean * self.logits


@register_kl(Bit, Bit)
def _kl(q: Bit, p: Bit) -> Tensor:
    """``Σ_z q(z) (log q(z) - log p(z))``, exact."""
    ones = softplus(-p.logits) - softplus(-q.logits)
    zeros = softplus(p.logits) - softplus(q.logits)
    return q.logits.sigmoid() * ones + (-q.logits).sigmoid() * zeros
