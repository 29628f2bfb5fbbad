"""Reconstruction, with penalties that keep an autoencoder without a divergence from learning the identity."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from torch import Tensor
from torch.distributions import Normal

from genmod import Doc, Draw, GivenModel, Objective, Terms

__all__ = ["Reconstruction", "corrupt", "squared_jacobian"]


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
