"""Peak signal-to-noise ratio of reconstructions."""

from collections.abc import Iterator
from typing import final

import torch

from genmod import Metric, Row, Subject, Undefined, mean_row
from genmod.plugins.metrics._bounded_range import bounded_range

__all__ = ["Psnr"]


@final
class Psnr(Metric):
    """The peak signal-to-noise ratio of reconstructions, of each example and then averaged.

    ``10 log10(range² / MSE)`` in decibels, ``range = high - low`` of the data

    An exact reconstruction has an infinite ratio; then there is no mean.

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> evaluate(build(encoder="mlp"), TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "psnr").rows[0].unit
        'dB'
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        width = bounded_range(subject, "psnr")
        parts = subject.over_reconstructions(lambda x, y: (x - y).double().square().flatten(1).mean(1).cpu())
        errors = torch.cat(parts)
        exact = int((errors == 0).sum())
        if exact:
            yield Undefined(
                "psnr", f"{exact} of {len(errors)} reconstructions are exact, and their ratio is infinite"
            )
            return
        definition = "10 log10(range² / MSE) of reconstructions, mean over the examples"
        yield mean_row("psnr", 10 * (width**2 / errors).log10(), "dB", definition, "higher", {"range": width})
