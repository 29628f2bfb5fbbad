"""Structural similarity of images."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["local_similarities", "ssim"]

_WINDOW, _WIDTH = 11, 1.5


def ssim(x: Tensor, y: Tensor, width: float) -> Tensor:
    """The structural similarity of images, 1 where they are equal.

    ``mean (2 μ_x μ_y + C1)(2 σ_xy + C2) / ((μ_x² + μ_y² + C1)(σ_x² + σ_y² + C2))`` over all places of a Gaussian window
    of standard deviation 1.5, 11 pixels wide or as wide as the picture; ``C1 = (0.01 width)²``, ``C2 = (0.03 width)²``

    Args:
        x: images, ``(N, channels, height, width)``.
        y: images, the same shape.
        width: of the range of values, ``high - low``.

    Returns:
        ``(N,)``, up to 1.

    Reference:
        Image quality assessment: from error visibility to structural similarity (Wang et al., 2004),
        doi:10.1109/TIP.2003.819861

    Example:
        >>> x = torch.rand(2, 3, 8, 8)
        >>> ssim(x, x, 1.0)
        tensor([1., 1.])
    """
    luminance, contrast = local_similarities(x, y, width)
    return (luminance * contrast).mean((1, 2, 3))


def local_similarities(x: Tensor, y: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Of luminance and of contrast with structure, for each place of the window; see :func:`ssim`."""
    channels, sides = x.shape[1], [min(_WINDOW, side) for side in x.shape[-2:]]
    rows, columns = (_gaussian(side, x) for side in sides)
    kernel = (rows[:, None] * columns).expand(channels, 1, *sides)
    mean_x, mean_y = (conv2d(z, kernel, groups=channels) for z in (x, y))
    # Around a common middle: squares of far values would cancel.
    middle = y.mean((1, 2, 3), keepdim=True)
    a, b = x - middle, y - middle
    mean_a, mean_b = mean_x - middle, mean_y - middle
    var_a, var_b, together = (
        conv2d(one * other, kernel, groups=channels) - mean_one * mean_other
        for one, other, mean_one, mean_other in (
            (a, a, mean_a, mean_a),
            (b, b, mean_b, mean_b),
            (a, b, mean_a, mean_b),
        )
    )
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    return luminance, (2 * together + c2) / (var_a + var_b + c2)


def _gaussian(side: int, like: Tensor) -> Tensor:
    place = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    weights = (-0.5 * (place / _WIDTH).square()).exp()
    return weights / weights.sum()
