"""Convolutional network below a decoder."""

import math
from typing import Annotated, final

from torch import Tensor, nn

from genmod import Activation, Doc, Network
from genmod.nn import Norm, default_channels, halvings, image_shape, mlp, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._spectral import normalise_spectrally
from genmod.plugins.networks._stages import SpectralNorm, UpChannels, Width

__all__ = ["ConvNetwork"]


@final
class ConvNetwork(Network):
    """Linear layers, then transposed convolutions that each double the image: the mirror of encoder ``conv``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; sizes that are no multiples of a power of two are met
    exactly. With ``spectral_norm`` kernels have a largest singular value of 1, as in arXiv:1903.12436.

    Reference:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2015), arXiv:1511.06434

    Raises:
        UsageError: the parameters are no image of at least 8×8, or too small for so many stages.

    Example:
        >>> import torch
        >>> ConvNetwork((16,), (3, 33, 20))(torch.zeros(2, 16)).shape
        torch.Size([2, 3, 33, 20])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        channels: UpChannels = None,
        hidden: Width = 256,
        norm: Annotated[Norm, Doc("normalisation after each convolution but the last")] = "none",
        activation: Annotated[Activation, Doc("function after each layer but the last")] = "silu",
        spectral_norm: SpectralNorm = False,
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, height, width = image_shape(out_shape, "network conv")
        stages_in = tuple(channels) if channels is not None else default_channels(height, width)[::-1]
        sizes = halvings(height, width, len(stages_in))[::-1]
        self.start = (stages_in[0], *sizes[0])
        widths = [math.prod(in_shape), *[hidden] * (hidden > 0), math.prod(self.start)]
        self.head = mlp(widths, activation, end_with_activation=True)
        stages: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(stages_in, (*stages_in[1:], outputs), strict=True)):
            odd = tuple(new - 2 * old for old, new in zip(sizes[i], sizes[i + 1], strict=True))
            last = i == len(stages_in) - 1
            stages.append(
                nn.ConvTranspose2d(
                    a, b, 4, stride=2, padding=1, output_padding=(odd[0], odd[1]), bias=last or norm == "none"
                )
            )
            if not last:
                stages += [norm_layer(norm, b), activation_layer(activation)]
        self.stages = nn.Sequential(*stages)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.head(z.flatten(1)).unflatten(1, self.start)
        parameters: Tensor = self.stages(maps)
        return parameters.reshape(-1, *self.out_shape)
