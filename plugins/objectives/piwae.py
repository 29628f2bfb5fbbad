"""Partially importance-weighted: one bound for the encoder, a tighter one for the decoder."""

from collections.abc import Iterable, Mapping
from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor, nn

from genmod import Doc, GivenModel, Terms
from genmod.plugins.objectives._draws import Weighted, log_mean_exp, weigh

__all__ = ["PIWAE"]


@final
class PIWAE(Weighted):
    """Two losses of the same M × K draws, ``w = p(x|z) p(z) / q(z|x)``, nats:

    - decoder, its network and the prior: ``loss = -mean_b[log 1/(MK) Σ_mk w_mk]``, that of ``iwae``, the tighter;
    - encoder and posterior: ``loss = -mean_b[1/M Σ_m log 1/K Σ_k w_mk]``, that of ``miwae``, the better signal.

    Each moves its own parameters alone. The loss that is watched is the first; both are reported, as ``iwae`` and
    ``miwae``, beside the ELBO of the same draws.

    Reference:
        Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018), arXiv:1802.04537

    Example:
        >>> PIWAE(estimates=8, samples=8).samples
        8
    """

    def __init__(
        self,
        *,
        estimates: Annotated[int, Ge(1), Doc("how often the encoder's bound is estimated, M")] = 8,
        samples: Annotated[int, Ge(1), Doc("draws of the latents for each estimate, K")] = 8,
    ) -> None:
        super().__init__(samples)
        self.estimates = estimates

    def groups(self, model: GivenModel) -> Mapping[str, Iterable[nn.Parameter]]:
        inference = [*model.encoder.parameters(), *model.posterior.parameters()]
        theirs = {id(parameter) for parameter in inference}
        return {"generative": [p for p in model.parameters() if id(p) not in theirs], "inference": inference}

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((self.estimates, self.samples)))
        # Dimensions: estimate, draw, example.
        tight = log_mean_exp(draws.log_weights.flatten(0, 1), 0)
        loose = log_mean_exp(draws.log_weights, 1).mean(0)
        losses = {"generative": -tight.mean(), "inference": -loose.mean()}
        return Terms(losses, {"iwae": tight, "miwae": loose, **draws.values()})
