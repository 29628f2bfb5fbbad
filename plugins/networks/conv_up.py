"""Transposed convolutions from a map."""

import itertools
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn

from genmod import Activation, Doc, Network, UsageError
from genmod.nn import activation as activation_layer
from genmod.nn import halvings, image_shape

__all__ = ["ConvUpNetwork"]


@final
class ConvUpNetwork(Network):
    """Transposed convolutions that double a map until it is an image, with half as many channels each time.

    ``z (B, channels, height, width) → parameters (B, *out_shape)``, of a map whose size the image has when it is halved a few
    times, rounding down; it starts with the function between the layers. The cheapest way from features of prior
    ``top-down``, or from a map of latents, to an image.

    Reference:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2015), arXiv:1511.06434

    Raises:
        UsageError: the parameters are no image of at least 8×8, or the latents no map of such a size.

    Example:
        >>> import torch
        >>> ConvUpNetwork((16, 8, 5), (3, 33, 20))(torch.zeros(2, 16, 8, 5)).shape
        torch.Size([2, 3, 33, 20])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width: Annotated[
            int, Gt(0), Doc("channels after the first doubling; halved by each further one")
        ] = 32,
        activation: Annotated[Activation, Doc("function before each layer")] = "silu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, height, across = image_shape(out_shape, "network conv-up")
        sizes = halvings(height, across, min(height, across).bit_length() - 1)
        if len(in_shape) != 3 or tuple(in_shape[1:]) not in sizes:
            raise UsageError(
                f"network 'conv-up' doubles a map until it is an image of {height}×{across}, and was given latents of shape "
                f"{in_shape}",
                hint=f"have a map of {' or '.join(f'{h}×{w}' for h, w in sizes[1:4])}; or take any latents: --network conv",
            )
        up = sizes[: sizes.index(tuple(in_shape[1:])) + 1][::-1]  # type: ignore[arg-type]
        layers: list[nn.Module] = []
        inputs = in_shape[0]
        for i, (small, large) in enumerate(itertools.pairwise(up)):
            last = large == up[-1]
            width_now = outputs if last else max(width >> i, 1)
            odd = [b - 2 * a for a, b in zip(small, large, strict=True)]
            layers += [
                activation_layer(activation),
                nn.ConvTranspose2d(
                    inputs, width_now, 4, stride=2, padding=1, output_padding=(odd[0], odd[1])
                ),
            ]
            inputs = width_now
        if len(up) == 1:
            layers = [activation_layer(activation), nn.Conv2d(inputs, outputs, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).reshape(-1, *self.out_shape)  # type: ignore[no-any-return]
