"""Multi-scale structural similarity as a reconstruction error."""

import math
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import avg_pool2d, conv2d

from genmod import DataInfo, Decoder, Doc, UsageError

__all__ = ["MsSsim", "MsSsimDecoder", "ms_ssim", "similarities"]

_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weight of each scale, finest first, as measured by Wang et al. (2003)."""

_WINDOW, _WIDTH = 11, 1.5
_LEAST = 4


def ms_ssim(x: Tensor, y: Tensor, width: float) -> Tensor:
    """Multi-scale structural similarity of images, 1 where they are equal.

    ``Π_j cs_j^w_j · l_M^w_M``, over up to five scales, as many as leave 4 pixels on the shorter side; the window is
    11 pixels wide, or as wide as the picture. Where there are five, the weights are those of the paper, whose sum is
    1.0001; of fewer they are scaled to 1. Similarities are averaged where the whole window lies in the picture, as in
    the paper's program; torchmetrics mirrors the picture beyond its edges at the coarsest scale, which moves the result
    by about 1e-4.

    Args:
        x: images, ``(N, channels, height, width)``.
        y: images, the same shape.
        width: of the range of values, ``high - low``.

    Returns:
        ``(N,)``, in (0, 1].

    Reference:
        Multiscale structural similarity for image quality assessment (Wang et al., 2003),
        doi:10.1109/ACSSC.2003.1292216

    Example:
        >>> x = torch.rand(2, 3, 32, 32)
        >>> ms_ssim(x, x, 1.0)
        tensor([1., 1.])
    """
    scales = min(len(_POWERS), int(math.log2(min(x.shape[-2:]) / _LEAST)) + 1)
    total_power = 1 if scales == len(_POWERS) else sum(_POWERS[:scales])
    powers = [power / total_power for power in _POWERS[:scales]]
    total = x.new_zeros(x.shape[0])
    for j, power in enumerate(powers):
        if j > 0:
            # At an odd edge a pixel is averaged with its mirror image, that is with itself.
            x, y = (avg_pool2d(each, 2, ceil_mode=True) for each in (x, y))
        luminance, contrast = similarities(x, y, width)
        similarity = contrast * luminance if j == scales - 1 else contrast
        # Contrast may be negative, of which a fractional power does not exist; the floor has a gradient.
        total = total + power * _soft_floor(similarity.mean((1, 2, 3))).log()
    return total.exp()


def _soft_floor(x: Tensor, floor: float = 1e-2) -> Tensor:
    """The identity above the floor, and below a positive curve with the same value and slope there."""
    return torch.where(x > floor, x, floor * (x.clamp(max=floor) / floor - 1).exp())


def similarities(x: Tensor, y: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Similarities of luminance and of contrast with structure, for each place of the window; as :func:`ms_ssim`."""
    channels, sides = x.shape[1], [min(_WINDOW, side) for side in x.shape[-2:]]
    rows, columns = (_gaussian(side, x) for side in sides)
    kernel = (rows[:, None] * columns).expand(channels, 1, *sides)

    def local(z: Tensor) -> Tensor:
        return conv2d(z, kernel, groups=channels)

    # Around a common middle: squares of far values would cancel.
    middle = y.mean((1, 2, 3), keepdim=True)
    a, b = x - middle, y - middle
    mean_a, mean_b = local(a), local(b)
    var_a, var_b = local(a * a) - mean_a.square(), local(b * b) - mean_b.square()
    together = local(a * b) - mean_a * mean_b
    mean_x, mean_y = mean_a + middle, mean_b + middle
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    return luminance, (2 * together + c2) / (var_a + var_b + c2)


def _gaussian(side: int, like: Tensor) -> Tensor:
    place = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    weights = (-0.5 * (place / _WIDTH).square()).exp()
    return weights / weights.sum()


@final
class MsSsim(Distribution):
    """The dissimilarity of images in place of a log-density: ``-weight (1 - MS-SSIM(x, picture))``.

    Args:
        picture: ``(*batch, channels, height, width)``, values from 0 to ``width``.
        low: smallest value of the data.
        width: range of the values.
        weight: nats from equal to unlike.

    Example:
        >>> MsSsim(torch.zeros(3, 1, 8, 8), 0.0, 1.0, 1.0).log_prob(torch.zeros(3, 1, 8, 8))
        tensor([0., 0., 0.])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.independent(constraints.real, 3)

    def __init__(self, picture: Tensor, low: float, width: float, weight: float) -> None:
        self.picture, self.low, self.width, self.weight = picture, low, width, weight
        super().__init__(picture.shape[:-3], picture.shape[-3:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "MsSsim":
        picture = self.picture.expand(*batch_shape, *self.event_shape)
        return MsSsim(picture, self.low, self.width, self.weight)

    def log_prob(self, value: Tensor) -> Tensor:
        x, y = torch.broadcast_tensors(value - self.low, self.picture)
        batch = x.shape[:-3]
        similarity = ms_ssim(x.reshape(-1, *self.event_shape), y.reshape(-1, *self.event_shape), self.width)
        return self.weight * (similarity - 1).reshape(batch)

    @property
    def mean(self) -> Tensor:
        return self.picture + self.low

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """The picture: an error has no noise to draw."""
        return self.mean.detach().expand(self._extended_shape(sample_shape))


@final
class MsSsimDecoder(Decoder):
    """The structural dissimilarity of images; no density, so there is no ELBO, NLL or bits/dim.

    ``log p(x|z) := -weight · D · (1 - MS-SSIM(x, σ(parameters)))``, ``D`` the number of values in an image

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``.

    Reference:
        Learning to Generate Images with Perceptual Similarity Metrics (Snell et al., 2015), arXiv:1511.06409

    Raises:
        UsageError: the data are no images of at least 4×4 pixels, or have no bounds.

    Example:
        >>> decoder = MsSsimDecoder(DataInfo((1, 8, 8)))
        >>> decoder(torch.zeros(1, 1, 8, 8)).log_prob(torch.full((1, 1, 8, 8), 0.5))
        tensor([0.])
    """

    is_density = False

    def __init__(
        self, data: DataInfo, *, weight: Annotated[float, Gt(0), Doc("nats for each value of an image")] = 1.0
    ) -> None:
        if not data.is_image or min(data.shape[1:]) < _LEAST or math.isinf(data.high - data.low):
            raise UsageError(
                f"decoder 'ms-ssim' compares images of at least {_LEAST}×{_LEAST} pixels with bounded values; these data "
                f"have the shape {data.shape} and reach from {data.low:g} to {data.high:g}",
                hint="choose a likelihood for such data: --decoder gaussian",
            )
        super().__init__(data)
        self.weight = weight * data.size
        self.support = constraints.independent(constraints.interval(data.low, data.high), 3)
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor) -> MsSsim:
        width = self.data.high - self.data.low
        return MsSsim(parameters.sigmoid() * width, self.data.low, width, self.weight)
