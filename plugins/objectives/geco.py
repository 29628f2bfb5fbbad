"""The rate, minimised as far as a given distortion allows."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from genmod import Doc, GivenModel, Objective, Schedule, Terms, UsageError
from genmod.distributions import with_gradient_of
from genmod.system import batch_mean

__all__ = ["GECO"]

_MAX_LOG = 10.0


@final
class GECO(Objective):
    """Minimise the rate under the constraint that the distortion is at most ``target`` nats for each value of the data.

    ``loss gradient = ∂ mean_b[rate_b + λ (distortion_b - D target)]``, D the number of values of an example. After each
    step of the trainer ``λ ← λ exp(speed · c)``, with c a running mean of ``mean_b[distortion_b] / D - target``: the
    weight of the distortion rises until the constraint holds, and falls where there is room. It is saved with the
    model and reported as ``multiplier``.

    The loss that is reported is ``mean_b[distortion_b + rate_b]``, whatever λ is, so that epochs can be compared.

    Reference:
        Taming VAEs (Rezende and Viola, 2018), arXiv:1810.00597

    Raises:
        UsageError: no divergence.

    Example:
        >>> GECO(target=0.2).log_multiplier
        tensor(0.)
    """

    log_multiplier: Tensor
    mean_excess: Tensor
    excess: Tensor
    parts: Tensor

    def __init__(
        self,
        *,
        target: Annotated[
            Schedule | float, Doc("nats of distortion for each value of the data, may change during training")
        ] = 0.1,
        speed: Annotated[float, Gt(0), Doc("how fast the multiplier follows the constraint")] = 0.05,
        momentum: Annotated[
            float, Ge(0), Lt(1), Doc("share of the running mean that is kept in each step")
        ] = 0.95,
        samples: Annotated[int, Ge(1), Doc("draws of the latents for each example")] = 1,
    ) -> None:
        super().__init__()
        self.target = Schedule.parse(target)
        self.speed = speed
        self.momentum = momentum
        self.samples = samples
        for name in ("log_multiplier", "mean_excess", "excess", "parts"):
            self.register_buffer(name, torch.tensor(0.0))

    def check(self, model: GivenModel) -> None:
        if not model.divergence.needs_prior:
            raise UsageError(
                "objective 'geco' minimises a divergence, and this model has none",
                hint="choose one (--divergence kl), or train without: --objective reconstruction",
            )
        with model.device:
            model.prior()

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q, p = model.encode(x), model.prior()
        z = q.rsample((self.samples,))
        distortion = -model.decode(z).log_prob(x).mean(0)
        rate = model.divergence(q, p, z)
        if self.training:
            with torch.no_grad():
                self.excess += batch_mean(distortion) / model.data.size - float(self.target)
                self.parts += 1
        multiplier = self.log_multiplier.exp()
        values = {"distortion": distortion, "rate": rate, "multiplier": multiplier.expand(len(x))}
        if model.divergence.is_kl and model.decoder.is_density:
            values = {"elbo": -(distortion + rate), **values}
        lagrangian = rate + multiplier * distortion
        return Terms(with_gradient_of(distortion + rate, lagrangian).mean(), values)

    @torch.no_grad()
    def after_step(self) -> None:
        # Several parts of a batch make one step; the constant keeps what was never trained as it is.
        excess = self.excess / self.parts.clamp(min=1)
        self.mean_excess.lerp_(excess, 1 - self.momentum)
        self.log_multiplier += self.speed * self.mean_excess
        self.log_multiplier.clamp_(-_MAX_LOG, _MAX_LOG)
        self.excess.zero_()
        self.parts.zero_()
