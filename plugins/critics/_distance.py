"""What critics have in common that learn nothing: a distance of reconstructions from examples, by a fixed network."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from genmod import Critic, DataInfo, Doc, Draw, FileError, Loss, Schedule, UndefinedError
from genmod.nn import weights_wanted
from genmod.plugins.encoders._backbone import without_parameters
from genmod.plugins.features._perceptual import layer_distance
from genmod.system import checksum, seeded

__all__ = ["ByLayers", "Distance", "Weight"]

Weight = Annotated[
    Schedule | float,
    Ge(0),
    Doc("of the distance, for each value of an example; may change during training"),
]


class ByLayers(nn.Module):
    """The distance of examples by the layers of a network; x has no gradient.

    ``x (B, *data.shape), y (K · B, *data.shape) → (K · B,)``: each x beside the K y of its place. See :func:`layer_distance`.

    Args:
        net: examples → outputs of its layers by name, ``(N, C_l, *places)``.
        weights: of the channels of each layer, ``(C_l,)``; by default the mean over the layers is taken.
        smallest: added to norms.
    """

    def __init__(self, net: nn.Module, weights: Sequence[Tensor] = (), smallest: float = 1e-10) -> None:
        super().__init__()
        self.net, self.smallest = net, smallest
        for i, each in enumerate(weights):
            self.register_buffer(f"weight_{i}", each)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        draws = len(y) // len(x)
        with torch.no_grad():
            real = [each.expand(draws, *each.shape).flatten(0, 1) for each in self.net(x).values()]
        weights: list[Tensor | float] = [*self.buffers(recurse=False)] or [1 / len(real)] * len(real)
        return layer_distance(real, self.net(y).values(), weights, self.smallest)


class Distance(Critic):
    """A critic without parameters, whose network is no part of the model: it is neither trained nor saved with it.

    The network is made when the model is built, so that a missing file is known then, and for a model that was loaded at the
    first loss: what is not trained any more needs no files. Its checksum is saved with the model, so that training goes on
    with the same network only.

    Args:
        data: shape and range of the data.
        latent_shape: shape of one latent.
        weight: of the distance, for each value of an example.
    """

    name: ClassVar[str]
    """The name under which the distance is reported."""

    sha256: Tensor

    def __init__(self, data: DataInfo, latent_shape: tuple[int, ...], weight: Schedule | float) -> None:
        super().__init__(data, latent_shape)
        if data.missing:
            raise UndefinedError(
                f"critic {self.name!r} compares whole examples, and values of these data are missing",
                hint="leave the critic out, or train on data without missing values",
            )
        self.weight = Schedule.parse(weight)
        self.register_buffer("sha256", torch.zeros(32, dtype=torch.uint8))
        # In a tuple, where torch does not find it.
        self._made: tuple[nn.Module, ...] = ()

    @abstractmethod
    def make(self) -> nn.Module:
        """The network, ``x (B, *data.shape), y (K · B, *data.shape)`` in the units of the data → distances ``(K · B,)``."""

    def begin(self) -> None:
        """Make the network if the weights of the model do not follow; called last when a critic is made."""
        if weights_wanted():
            self.sha256.copy_(self._make())

    def network(self, like: Tensor) -> nn.Module:
        """The network, on the device and in the precision of ``like``.

        Raises:
            FileError: its file is missing, or is not the one that the model was built with.
        """
        if not self._made:
            found = self._make()
            if not like.is_meta and self.sha256.any() and not torch.equal(found, self.sha256.cpu()):
                raise FileError(
                    f"the network of critic {self.name!r} is not the one that the model was built with",
                    hint="put the file of its weights back to where it was, or build the model anew",
                )
        (net,) = self._made
        known = next(net.buffers(), like)
        if (known.device, known.dtype) != (like.device, like.dtype):
            # One that is waited for only where it comes back to the processor.
            net.to(like.device, like.dtype, non_blocking=like.device.type != "cpu")
        return net

    def _make(self) -> Tensor:
        """Make the network, on the CPU and whatever has been drawn; its checksum, ``(32,)`` bytes."""
        with torch.device("cpu"), seeded(0):
            net = without_parameters(self.make()).eval()
            self._made = (net,)
            return torch.tensor(list(bytes.fromhex(checksum(net.state_dict()))), dtype=torch.uint8)

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        made = draw.likelihood.mean.reshape(-1, *self.data.shape)
        distances = self.network(made)(draw.x.to(made), made)
        values = distances.view(-1, len(draw.x)).mean(0)
        return {self.name: Loss(values, weight=float(self.weight) * self.data.size, measures=True)}
