"""The importance-weighted bound with the doubly reparametrised gradient."""

from typing import final

from torch import Tensor

from genmod import GivenModel, Terms
from genmod.distributions import changed, with_gradient_of
from genmod.plugins.objectives._draws import DrawCount, Weighted, check_path, log_mean_exp, weigh

__all__ = ["DReG"]


@final
class DReG(Weighted):
    r"""The loss of ``iwae`` with a gradient for the encoder whose signal-to-noise ratio grows with K.

    ``loss = -mean_b[log 1/K Σ_k w_k]``, nats, reported as ``iwae``. With ``v_k = w_k / Σ w`` its gradient is

    - for encoder and posterior ``-Σ_k v_k² ∂log w_k/∂z_k · ∂z_k/∂φ``, unbiased, where that of ``iwae`` drowns in
      noise as K grows;
    - for decoder and prior ``-Σ_k v_k ∂log w_k/∂θ``, as in ``iwae``.

    Reference:
        Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives (Tucker et al., 2018),
        arXiv:1810.04152

    Example:
        >>> DReG(samples=64).samples
        64
    """

    def __init__(self, *, samples: DrawCount = 5) -> None:
        super().__init__(samples)

    def check(self, model: GivenModel) -> None:
        check_path(model, "dreg")

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)

        def hooked(part: Tensor) -> Tensor:
            part = part.view_as(part)
            if part.requires_grad:
                # All that reaches z has been weighted once by the sum below; the square is for what lies behind z.
                part.register_hook(
                    lambda gradient: (
                        gradient * shares.reshape(*shares.shape, *[1] * (z.dim() - 2)).to(gradient)
                    )
                )
            return part

        z = changed(q.rsample((self.samples,)), hooked, own=True)
        draws = weigh(model, x, q, z, path_only=True)
        shares = draws.log_weights.detach().softmax(0)
        bound = log_mean_exp(draws.log_weights, 0)
        surrogate = (shares * draws.log_weights).sum(0)
        return Terms(-with_gradient_of(bound, surrogate).mean(), {"iwae": bound, **draws.values()})
