"""Structural similarity of reconstructions."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from genmod import Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.plugins.metrics._reconstruction import bounded_range, reconstructions

__all__ = ["Ssim", "local_similarities", "ssim"]

_WINDOW, _WIDTH = 11, 1.5


@final
class Ssim(Metric):
    """The structural similarity of reconstructions, 1 where they are exact.

    ``mean (2 μ_x μ_y + C1)(2 σ_xy + C2) / ((μ_x² + μ_y² + C1)(σ_x² + σ_y² + C2))`` over the places of a Gaussian window

    The window is 11 pixels wide, or as wide as the picture where that is smaller, and lies within it; values are
    counted from the smallest that the data may have.

    Reference:
        Image quality assessment: from error visibility to structural similarity (Wang et al., 2004),
        doi:10.1109/TIP.2003.819861

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> evaluate(build(encoder="mlp"), TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "ssim").rows[0].n
        8
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = subject.model.data
        if not data.is_image:
            raise UndefinedError(f"ssim is of images, and an example has the shape {data.shape}")
        width = bounded_range(subject, "ssim")
        parts = [
            ssim((x - data.low).double(), (y - data.low).double(), width).cpu()
            for x, y in reconstructions(subject)
        ]
        definition = "structural similarity of reconstructions and observations, mean over the examples"
        yield mean_row("ssim", torch.cat(parts), "", definition, "higher", {"range": width})


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
