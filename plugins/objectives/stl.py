"""The ELBO with the gradient through the draws alone."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, GivenModel, Terms, UsageError
from genmod.plugins.objectives._draws import Weighted, check_path, weigh

__all__ = ["StickingTheLanding"]


@final
class StickingTheLanding(Weighted):
    """``loss = -mean_b[log w_b]``, ``w = p(x|z) p(z) / q(z|x)``, one draw, without the score of q in its gradient; nats.

    The score ``∂log q(z|x)/∂φ`` is zero in expectation and is left out, so that the gradient has no noise where
    the posterior is exact. That is unbiased for one draw alone: weights of several draws change what the score
    averages to.

    Reference:
        Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference
        (Roeder et al., 2017), arXiv:1703.09194

    Raises:
        UsageError: more than one draw.

    Example:
        >>> StickingTheLanding().samples
        1
    """

    def __init__(
        self, *, samples: Annotated[int, Ge(1), Doc("draws of the latents for each example: one")] = 1
    ) -> None:
        if samples > 1:
            raise UsageError(
                f"objective 'stl' was given {samples} draws, but its gradient is biased where several are weighted",
                hint="choose --objective dreg for weighted draws; for their plain mean, --objective elbo with "
                "--divergence kl-mc -s divergence.sticking_the_landing=true",
            )
        super().__init__(samples)

    def check(self, model: GivenModel) -> None:
        check_path(model, "stl")

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((1,)), path_only=True)
        return Terms(-draws.log_weights.mean(), draws.values())
