"""A critic of latents."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from genmod import DataInfo, Doc, Draw, GivenModel, Loss, Schedule
from genmod.nn import mlp
from genmod.plugins.critics._adversary import (
    R1,
    Adversary,
    Betas,
    Every,
    Penalty,
    Rate,
    Spectral,
    Start,
)
from genmod.plugins.critics._rules import Rule

__all__ = ["AdversarialCritic"]


@final
class AdversarialCritic(Adversary):
    """Tells draws of the posterior from draws of the prior; the model is to be taken for the prior.

    ``critic_loss = softplus(-D(y)) + softplus(D(z))``, ``fooling_loss = softplus(-D(z))``, ``z ~ q(z|x)``, ``y ~ p(z)``,
    as the ``loss`` non-saturating has it; hinge: ``max(0, 1 - D(y)) + max(0, 1 + D(z))`` and ``-D(z)``; wasserstein:
    ``D(z) - D(y)`` and ``-D(z)``. The critic minimises the first one with its penalties, the model its own loss with
    ``weight`` times the second.

    ``z (K, B, *latent_shape) → (B,)`` each. With ``--divergence none --objective reconstruction`` this is an adversarial
    autoencoder, with a Gaussian decoder too WAE-GAN. D is a network of linear layers. The critic moves no prior:
    what is learned of one, it learns from the objective.

    Reference:
        Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644;
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018), arXiv:1711.01558

    Raises:
        UndefinedError: the model has no prior to draw from.

    Example:
        >>> import genmod
        >>> model = genmod.build("aae", encoder="mlp", latent=2)
        >>> sorted(model.terms(torch.zeros(3, 1, 8, 8)).values)
        ['critic_loss', 'distortion', 'fooling_loss']
    """

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        loss: Annotated[Rule, Doc("what critic and model minimise")] = "non-saturating",
        hidden: Annotated[Sequence[Annotated[int, Gt(0)]], Doc("width of each hidden layer")] = (256, 256),
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight in the loss of the model, may change during training")
        ] = 1.0,
        gradient_penalty: Penalty = None,
        r1: R1 = 0.0,
        spectral_norm: Spectral = False,
        start: Start = 0,
        every: Every = 1,
        lr: Rate = 1.0,
        betas: Betas = (0.5, 0.999),
    ) -> None:
        super().__init__(
            data,
            latent_shape,
            loss=loss,
            gradient_penalty=gradient_penalty,
            r1=r1,
            weight=weight,
            start=start,
            every=every,
            lr=lr,
            betas=betas,
        )
        self.net = mlp([math.prod(latent_shape), *hidden, 1], "leaky-relu", end_with_activation=False)
        self.finish(self.net, spectral_norm)

    def bind(self, model: GivenModel) -> None:
        prior: Any = model.prior
        if not prior.has_density and not prior.wants_context:
            prior()

    def score(self, points: Tensor) -> Tensor:
        return self.net(points)  # type: ignore[no-any-return]

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        p = draw.prior()
        made = draw.z.flatten(0, 1).flatten(1)
        real = p.sample(draw.z.shape[: 2 - len(p.batch_shape)]).reshape(made.shape)
        of_real, of_made = self.score(torch.cat([real, made])).chunk(2)
        return self.judged(real, made, of_real, of_made, draw.z.shape[1])
