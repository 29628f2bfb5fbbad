"""A critic that tells latents from independent ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from genmod import Critic, DataInfo, Doc, Draw, GivenModel, Loss, ParameterGroup, Schedule, UndefinedError
from genmod.nn import mlp
from genmod.plugins.critics._adversary import Betas, Every, Rate
from genmod.system import gather_batch, own_part

__all__ = ["TotalCorrelationCritic"]


@final
class TotalCorrelationCritic(Critic):
    """Adds ``γ TC(z) = γ KL(q(z) ‖ Π_d q(z_d))`` to the model's loss, estimated by a density ratio.

    ``total_correlation = E_q[D(z)]``, ``critic_loss = ½ (softplus(-D(z)) + softplus(D(z')))``, ``z ~ q(z|x)``, z' with each
    latent permuted over the batch by itself. The latter has a minimum where D is the logarithm of the density of z over
    that of z', and there ``total_correlation`` is exact, in nats.

    ``z (K, B, *latent_shape) → (B,)`` each. Permutations are those of the batch of all processes; each is independent of
    the others and leaves the values of its latent as they are. The probabilities of one class are permuted together.
    D is a network of linear layers.

    Reference:
        Disentangling by Factorising (Kim and Mnih, 2018), arXiv:1802.05983

    Raises:
        UndefinedError: the latents cannot be independent of each other, as directions and codes of a codebook.

    Example:
        >>> import genmod
        >>> model = genmod.build("factor-vae", encoder="mlp", latent=2)
        >>> sorted(model.terms(torch.zeros(3, 1, 8, 8)).values)
        ['critic_loss', 'distortion', 'elbo', 'rate', 'total_correlation']
    """

    batch_statistics = "global"

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        gamma: Annotated[
            Schedule | float, Ge(0), Doc("weight of the total correlation, may change during training")
        ] = 10.0,
        hidden: Annotated[Sequence[Annotated[int, Gt(0)]], Doc("width of each hidden layer")] = (256, 256),
        every: Every = 1,
        lr: Rate = 1.0,
        betas: Betas = (0.5, 0.9),
    ) -> None:
        super().__init__(data, latent_shape)
        self.gamma, self.every, self.lr = Schedule.parse(gamma), every, lr
        self.optimizer = {"name": "adam", "betas": tuple(betas)}
        size = math.prod(latent_shape)
        self.net = mlp([size, *hidden, 1], "leaky-relu", end_with_activation=False)
        self._units = list(range(size))

    def bind(self, model: GivenModel) -> None:
        # Supports are asked about points.
        with torch.device("cpu"):
            kinds = {piece.kind for piece in model.space.pieces}
            sizes = [unit.size for unit in model.space.units]
        if wrong := kinds & {"sphere", "ball", "code"}:
            raise UndefinedError(
                f"critic 'tc' needs latents that can be independent of each other; these are each part of a {wrong.pop()}",
                hint="choose --posterior normal --prior normal, or leave out the critic",
            )
        self._units = [unit for unit, size in enumerate(sizes) for _ in range(size)]

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        return {self.group: ParameterGroup(self.parameters(), self.lr, self.optimizer, every=self.every)}

    def permuted(self, z: Tensor) -> Tensor:
        """Draws ``z (K, B, D)`` with each latent permuted over the batch of all processes, without a gradient."""
        with torch.no_grad():
            # Of the examples, so that processes draw what one would draw for all of them.
            keys = torch.rand(z.shape[1], len(z), max(self._units) + 1, device=z.device)
            whole, keys = gather_batch(z.transpose(0, 1).contiguous()), gather_batch(keys)
            order = keys[..., self._units].argsort(dim=0, stable=True)
            return own_part(whole.gather(0, order)).transpose(0, 1)

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        z = draw.z.flatten(2)
        joint, independent = self.net(torch.cat([z, self.permuted(z.detach())])).squeeze(-1).chunk(2)
        own = 0.5 * (softplus(-joint) + softplus(independent))
        return {
            "critic_loss": Loss(own.mean(0), self.group),
            "total_correlation": Loss(joint.mean(0), weight=float(self.gamma)),
        }
