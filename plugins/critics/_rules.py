"""What a critic and its opponent minimise, given the scores of both sides, and what keeps a critic smooth."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["Rule", "gradient_penalty", "r1_penalty", "rule"]

Rule = Literal["non-saturating", "hinge", "wasserstein"]


def rule(name: Rule, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of the critic and that of what it judges, elementwise, of scores of one shape; high ones mean real.

    - non-saturating: ``softplus(-real) + softplus(made)`` and ``softplus(-made)``;
    - hinge: ``max(0, 1 - real) + max(0, 1 + made)`` and ``-made``;
    - wasserstein: ``made - real`` and ``-made``.

    Reference:
        Generative Adversarial Networks (Goodfellow et al., 2014), arXiv:1406.2661;
        Geometric GAN (Lim and Ye, 2017), arXiv:1705.02894;
        Wasserstein GAN (Arjovsky et al., 2017), arXiv:1701.07875

    Example:
        >>> rule("hinge", torch.tensor(0.5), torch.tensor(0.25))
        (tensor(1.7500), tensor(-0.2500))
    """
    if name == "hinge":
        return (1 - real).relu() + (1 + made).relu(), -made
    if name == "wasserstein":
        return made - real, -made
    return softplus(-real) + softplus(made), softplus(-made)


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, batch: int) -> Tensor:
    """``(‖∂D(x̂)/∂x̂‖ - 1)²`` at points between the two, ``x̂ = u real + (1-u) made``, u uniform.

    ``(K·batch, *shape) → (K·batch,)``

    Reference:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028

    Example:
        >>> gradient_penalty(lambda x: 3 * x[:, 0], torch.ones(2, 4), torch.zeros(2, 4), 2)
        tensor([4., 4.])
    """
    # Examples have a dimension of their own, by which processes share out what is drawn.
    u = torch.rand(len(real) // batch, batch, dtype=real.dtype, device=real.device)
    u = u.reshape(-1, *[1] * (real.dim() - 1))
    squares = _squared_gradient(score, u * real + (1 - u) * made)
    # The root has no derivative at zero.
    return (squares.clamp(min=1e-24).sqrt() - 1).square()


def r1_penalty(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """``½ ‖∂D(x)/∂x‖²`` at what is real, ``(N, *shape) → (N,)``.

    Reference:
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), arXiv:1801.04406

    Example:
        >>> r1_penalty(lambda x: 3 * x[:, 0], torch.ones(2, 4))
        tensor([4.5000, 4.5000])
    """
    return 0.5 * _squared_gradient(score, real)


def _squared_gradient(score: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    trains = torch.is_grad_enabled()
    # There is a gradient in validation too.
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(score(points).sum(), points, create_graph=trains)
    return gradient.flatten(1).square().sum(1)
