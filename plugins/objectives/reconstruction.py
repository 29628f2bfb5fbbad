"""Reconstruction alone."""

from typing import TYPE_CHECKING, final

from torch import Tensor

from genmod.objective import Objective, Terms

if TYPE_CHECKING:
    from genmod.model import LatentVariableModel

__all__ = ["Reconstruction"]


@final
class Reconstruction(Objective):
    """The distortion, minimised: what a plain autoencoder does.

    ``loss = mean_b[-log p(x_b|z_b)]``, ``z_b ~ q(z|x_b)``, nats

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647

    Example:
        >>> Reconstruction().uses_divergence
        False
    """

    uses_divergence = False

    def forward(self, model: "LatentVariableModel", x: Tensor) -> Terms:
        distortion = -model.decode(model.encode(x).rsample((1,))).log_prob(x)[0]
        return Terms(distortion.mean(), {"distortion": distortion})
