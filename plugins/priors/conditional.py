"""Normal prior whose mean and scale depend on the condition."""

import math
from typing import Annotated, final

from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Activation, Doc, Prior, UndefinedError, UsageError, bounded_log_scale, diagonal_normal
from genmod.nn import mlp
from genmod.plugins.networks._stages import Widths

__all__ = ["ConditionalPrior"]


@final
class ConditionalPrior(Prior):
    """Independent normals whose means and scales are functions of the condition, by a small network.

    ``p(z|c) = Π_d N(z_d; loc_d(c), scale_d(c)²)``, ``batch_shape (B,)``, ``event_shape latent_shape``

    It starts as the standard normal. Without hidden layers each class has a mean and a scale of its own.

    Raises:
        UsageError: the model is not conditional.

    Reference:
        Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015),
        NeurIPS 2015; Semi-Supervised Learning with Deep Generative Models (Kingma et al., 2014), arXiv:1406.5298

    Example:
        >>> import torch
        >>> ConditionalPrior((2,), 3)(torch.eye(3)).batch_shape
        torch.Size([3])
    """

    wants_context = True

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int,
        *,
        hidden: Widths = (),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
    ) -> None:
        super().__init__(latent_shape)
        if not context_size:
            raise UsageError(
                "prior 'conditional' depends on a condition, and the model has none",
                hint="give it one (--condition label), or choose another: --prior normal",
            )
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.layers = mlp(
            (context_size, *hidden, 2 * math.prod(latent_shape)), activation, end_with_activation=False
        )
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, context: Tensor | None = None) -> Independent:
        if context is None:
            raise UndefinedError("prior 'conditional' has no distribution until it is given a condition")
        values = self.layers(context).unflatten(-1, (2, *self.latent_shape))
        loc, log_scale = values.unbind(-1 - len(self.latent_shape))
        return diagonal_normal(loc, bounded_log_scale(log_scale), len(self.latent_shape))
