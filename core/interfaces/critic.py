"""Critics: networks whose judgement of what a model makes is part of its loss; most are trained to tell it from its target."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from genmod.data.dataset import DataInfo
from genmod.interfaces.part import Draw, Loss, Part
from genmod.system.explained import explained

__all__ = ["Critic"]


@explained
class Critic(Part, ABC):
    """A network with a loss of its own on draws of a model, that adds a second loss to the model's.

    The laws: the model's loss does not update the critic's parameters, nor the critic's loss those of the model, since
    each :class:`genmod.Loss` updates only its own group; all of the critic's parameters are in groups of
    :meth:`parameter_groups`. A critic without parameters, such as the distance of pictures by a fixed network, learns
    nothing: it only adds a loss to the model's, which is the same in training and in evaluation and has no gradient
    where observations are.

    Args:
        data: shape and range of the data.
        latent_shape: shape of one latent.
    """

    group: str = "critic"
    """Name of the group of its parameters, by which its own losses say what they move; another where there are several."""

    def __init__(self, data: DataInfo, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.data = data
        self.latent_shape = latent_shape

    @abstractmethod
    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        """The critic's own loss, for its group, if it has parameters, and the loss that it adds to the model's."""
