"""Reconstruction, with penalties that keep an autoencoder without a divergence from learning the identity."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from genmod import Doc, Draw, GivenModel, Objective, Terms
from genmod.plugins.objectives._penalties import corrupt, squared_jacobian

__all__ = ["Reconstruction"]


@final
class Reconstruction(Objective):
    """The distortion, minimised, with penalties: plain, regularised, contractive and denoising autoencoders.

    ``loss = mean_b[-log p(x_b|z_b) + Σ weight · penalty_b]``, ``z_b ~ q(z|x̃_b)``, nats, where each penalty has its own
    option for its weight:

    - ``latent_penalty``: ``½ |z|²`` (RAE);
    - ``weight_penalty``: the sum of squares of all weights of the decoder's network (RAE-L2);
    - ``gradient_penalty``: ``‖∂E[x|z]/∂z‖²``, of the decoder's mean at the code (RAE-GP);
    - ``contractive_penalty``: ``‖∂E[z|x]/∂x‖²``, of the code at the input (contractive autoencoder).

    The derivatives are estimated from one random direction for each example, without bias. The encoder sees ``x̃``: the
    example with normal ``noise`` added and a share ``mask`` of its values set to zero; what is to be reconstructed is the
    example itself (denoising autoencoder).

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647;
        From Variational to Deterministic Autoencoders (Ghosh et al., 2019), arXiv:1903.12436;
        Contractive Auto-Encoders: Explicit Invariance During Feature Extraction (Rifai et al., 2011);
        Extracting and Composing Robust Features with Denoising Autoencoders (Vincent et al., 2008),
        doi:10.1145/1390156.1390294

    Example:
        >>> Reconstruction(gradient_penalty=1e-3).uses_divergence
        False
    """

    uses_divergence = False
    hands_out_draws = True

    def __init__(
        self,
        *,
        latent_penalty: Annotated[float, Ge(0), Doc("weight of half the squared norm of the latents")] = 0.0,
        weight_penalty: Annotated[
            float, Ge(0), Doc("weight of the squared weights of the decoder's network")
        ] = 0.0,
        gradient_penalty: Annotated[
            float, Ge(0), Doc("weight of the squared derivatives of the decoder by the latents")
        ] = 0.0,
        contractive_penalty: Annotated[
            float, Ge(0), Doc("weight of the squared derivatives of the latents by the data")
        ] = 0.0,
        noise: Annotated[
            float, Ge(0), Doc("standard deviation of normal noise that the encoder's input gets")
        ] = 0.0,
        mask: Annotated[
            float, Ge(0), Lt(1), Doc("share of the values of the encoder's input that are set to zero")
        ] = 0.0,
    ) -> None:
        super().__init__()
        self.latent_penalty = latent_penalty
        self.weight_penalty = weight_penalty
        self.gradient_penalty = gradient_penalty
        self.contractive_penalty = contractive_penalty
        self.noise = noise
        self.mask = mask

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        seen = corrupt(x, noise=self.noise, mask=self.mask)
        # Penalties on derivatives need a graph in validation too.
        with torch.set_grad_enabled(torch.is_grad_enabled() or self._differentiates):
            if self.contractive_penalty > 0:
                seen = seen.detach().requires_grad_()
            q = model.encode(seen)
            z = q.rsample()
            if self.gradient_penalty > 0 and not z.requires_grad:
                z = z.detach().requires_grad_()
            likelihood, parameters = model.decoded(z)
            distortion = -likelihood.log_prob(x)
            loss, values = distortion.mean(), {"distortion": distortion}
            penalties = {}
            if self.latent_penalty > 0:
                penalties["latent_penalty"] = 0.5 * z.flatten(1).square().sum(1)
            if self.weight_penalty > 0:
                squares = [weight.square().sum() for weight in model.network.parameters()]
                penalties["weight_penalty"] = torch.stack(squares).sum().expand(len(x))
            if self.gradient_penalty > 0:
                penalties["gradient_penalty"] = squared_jacobian(likelihood.mean, z)
            if self.contractive_penalty > 0:
                penalties["contractive_penalty"] = squared_jacobian(q.mean, seen)
        for name, penalty in penalties.items():
            loss = loss + vars(self)[name] * penalty.mean()
        draw = Draw(x, q, z[None], model.prior, likelihood, parameters, distortion)
        return Terms(loss, {**values, **penalties}, draw=draw)

    @property
    def _differentiates(self) -> bool:
        return self.gradient_penalty > 0 or self.contractive_penalty > 0
