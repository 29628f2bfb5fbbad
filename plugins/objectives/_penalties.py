"""Corrupted inputs, and penalties on derivatives: what makes a reconstruction harder."""

import torch
from torch import Tensor
from torch.distributions import Normal

__all__ = ["corrupt", "squared_jacobian"]


def corrupt(x: Tensor, *, noise: float, mask: float) -> Tensor:
    """Examples with normal noise added and some of their values set to zero, any shape → the same shape.

    Args:
        x: the examples.
        noise: standard deviation.
        mask: probability of a zero.

    Example:
        >>> corrupt(torch.ones(2, 3), noise=0.0, mask=1.0)
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
    """
    if noise > 0:
        x = x + noise * _standard_normal(x)
    if mask > 0:
        x = x * (torch.special.ndtr(_standard_normal(x)) > mask)
    return x


def squared_jacobian(outputs: Tensor, inputs: Tensor) -> Tensor:
    """``‖∂outputs/∂inputs‖²``, the sum of the squares of all derivatives of each example, ``(B,)``, differentiable.

    Estimated without bias from one random direction, ``|vᵀJ|²`` with ``v ~ N(0, I)``: one more pass backwards.

    Args:
        outputs: ``(B, …)``, each example's from its own inputs alone.
        inputs: ``(B, …)``, which the outputs were computed from.

    Reference:
        A stochastic estimator of the trace of the influence matrix (Hutchinson, 1989), doi:10.1080/03610918908812806

    Example:
        >>> x = torch.ones(1000, 1, requires_grad=True)
        >>> 8 < squared_jacobian(3 * x, x).mean() < 10
        tensor(True)
    """
    direction = _standard_normal(outputs.flatten(1)).reshape(outputs.shape)
    (slope,) = torch.autograd.grad((outputs * direction).sum(), inputs, create_graph=True)
    return slope.flatten(1).square().sum(1)


def _standard_normal(like: Tensor) -> Tensor:
    zeros = torch.zeros_like(like, requires_grad=False)
    return Normal(zeros, torch.ones_like(zeros), validate_args=False).rsample()
