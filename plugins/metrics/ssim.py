"""Structural similarity of reconstructions."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.plugins.decoders.ms_ssim import similarities
from genmod.plugins.metrics._bounded_range import bounded_range

__all__ = ["Ssim", "ssim"]


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
            raise UndefinedError(f"ssim needs images, and an example has the shape {data.shape}")
        width = bounded_range(subject, "ssim")
        parts = subject.over_reconstructions(
            lambda x, y: ssim((x - data.low).double(), (y - data.low).double(), width).cpu()
        )
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
    luminance, contrast = similarities(x, y, width)
    return (luminance * contrast).mean((1, 2, 3))
