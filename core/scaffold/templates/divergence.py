"""The symmetric Kullback-Leibler divergence."""

from typing import final

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from genmod import Divergence, UndefinedError
from genmod.distributions import own_reason

__all__ = ["TemplateDivergence"]


@final
class TemplateDivergence(Divergence):
    """The mean of both KL divergences, in closed form; it is no KL, so it gives no bound.

    ``½ KL(q ‖ p) + ½ KL(p ‖ q)``, ``q (B,), p (), z (K, B, *latent_shape) → (B,)``, nats

    Raises:
        UndefinedError: no closed form is known for the pair.
    """

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        try:
            return (kl_divergence(q, p) + kl_divergence(p, q)) / 2
        except NotImplementedError as error:
            raise UndefinedError(
                f"no closed form is known between {type(q).__name__} and {type(p).__name__}{own_reason(error)}",
                hint="choose --divergence kl-mc",
            ) from None

    def check(self, q: Distribution, p: Distribution) -> None:
        self(q, p, None)
