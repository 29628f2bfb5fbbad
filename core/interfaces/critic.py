"""Critics: networks that learn to tell what a model makes from what it should make, and pull the model there."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from genmod.data.dataset import DataInfo
from genmod.interfaces.part import Draw, Loss, Part

__all__ = ["Critic"]


class Critic(Part, ABC):
    """Judges draws of a model, by a loss of its own, and adds another one to the model's.

    The laws: the model's loss leaves the critic's parameters alone, and the critic's the model's, since each
    :class:`genmod.Loss` moves its group alone; the critic's parameters are in groups of :meth:`parameter_groups`.

    Args:
        data: shape and range of the data.
        latent_shape: shape of one latent.
    """

    def __init__(self, data: DataInfo, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.data = data
        self.latent_shape = latent_shape

    @abstractmethod
    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        """The critic's own loss, of its group, and what it adds to the loss of the model."""
