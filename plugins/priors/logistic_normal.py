"""Logistic-normal prior, on the simplex."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import Doc, Prior
from genmod.options import same_options
from genmod.plugins.posteriors._simplex import require_classes, stacked
from genmod.plugins.posteriors.logistic_normal import LogisticNormal, contrasts

__all__ = ["LogisticNormalPrior"]


@final
class LogisticNormalPrior(Prior):
    """The softmax of independent normals, in which all classes are alike.

    ``z = softmax(u)``, ``u ~ N(0, scale²)``, ``batch_shape ()``, ``event_shape latent_shape``

    With ``scale = α^-½`` it is the Laplace approximation of a symmetric Dirichlet distribution with concentration α,
    taken where the classes are the softmax of real numbers.

    Reference:
        Autoencoding Variational Inference For Topic Models (Srivastava and Sutton, 2017), arXiv:1703.01488

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> LogisticNormalPrior((4,))().sample((3,)).sum(-1).round()
        tensor([1., 1., 1.])
    """

    migrate = staticmethod(same_options)

    basis: Tensor
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        scale: Annotated[
            float, Gt(0), Doc("of the normals: the larger, the nearer draws are to the corners")
        ] = 1.0,
    ) -> None:
        k = require_classes("prior 'logistic-normal'", latent_shape)
        super().__init__(latent_shape)
        self.log_scale = math.log(scale)
        self.support = stacked(constraints.simplex, latent_shape)
        self.register_buffer("basis", contrasts(k), persistent=False)
        self.register_buffer("zeros", torch.zeros(*latent_shape[:-1], k - 1), persistent=False)

    def forward(self, context: Tensor | None = None) -> LogisticNormal:
        log_scale = self.zeros + self.log_scale
        return LogisticNormal(self.zeros, log_scale, self.basis, len(self.latent_shape))
