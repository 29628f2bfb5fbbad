"""Pre-activation residual blocks, for encoder and network ``resnet``."""

from typing import final

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from genmod import Activation
from genmod.nn import Norm, norm_layer
from genmod.nn import activation as activation_layer

__all__ = ["ResidualBlock", "SqueezeExcite"]

_REDUCTION = 4


@final
class SqueezeExcite(nn.Module):
    """Scales each channel by a number between 0 and 1 that is computed from the means of all of them.

    ``maps (B, channels, height, width) → the same``

    Reference:
        Squeeze-and-Excitation Networks (Hu et al., 2017), arXiv:1709.01507

    Example:
        >>> import torch
        >>> SqueezeExcite(8, "silu")(torch.zeros(2, 8, 4, 4)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        inner = max(channels // _REDUCTION, 1)
        self.gate = nn.Sequential(
            nn.Linear(channels, inner), activation_layer(activation), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        scale: Tensor = self.gate(maps.mean((2, 3)))
        return maps * scale[:, :, None, None]


@final
class ResidualBlock(nn.Module):
    """Norm, function and convolution, twice, added to the input.

    ``maps (B, inputs, height, width) → (B, outputs, height', width')``, the same size, half of it rounded down,
    or the size that is named.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        norm: before each convolution.
        activation: between norm and convolution.
        squeeze_excite: scale the channels of the branch.
        halve: halve height and width.
        size: enlarge to this height and width, before anything else.

    Reference:
        Identity Mappings in Deep Residual Networks (He et al., 2016), arXiv:1603.05027

    Example:
        >>> import torch
        >>> ResidualBlock(8, 16, "group", "silu", halve=True)(torch.zeros(2, 8, 9, 6)).shape
        torch.Size([2, 16, 4, 3])
        >>> ResidualBlock(8, 4, "group", "silu", size=(9, 6))(torch.zeros(2, 8, 4, 3)).shape
        torch.Size([2, 4, 9, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: Norm,
        activation: Activation,
        *,
        squeeze_excite: bool = False,
        halve: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.halve, self.size = halve, size
        # Of a kernel of 4 with stride 2 every pixel is seen equally often, the last one of an odd side too.
        first = nn.Conv2d(
            inputs, outputs, 4 if halve else 3, stride=2 if halve else 1, padding=1, bias=norm == "none"
        )
        self.branch = nn.Sequential(
            norm_layer(norm, inputs),
            activation_layer(activation),
            first,
            norm_layer(norm, outputs),
            activation_layer(activation),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            SqueezeExcite(outputs, activation) if squeeze_excite else nn.Identity(),
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        if self.size is not None:
            maps = interpolate(maps, size=self.size)
        direct: Tensor = self.shortcut(avg_pool2d(maps, 2) if self.halve else maps)
        added: Tensor = self.branch(maps)
        return direct + added
