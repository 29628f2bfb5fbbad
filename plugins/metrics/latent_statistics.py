"""Moments of the latents: by channel, and all together."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, UndefinedError

__all__ = ["LatentStatistics"]

_ROWS = 16
_DEFINITIONS = {
    "mean": "mean of one channel of the latents, over examples and places",
    "std": "standard deviation of one channel of the latents, over examples and places",
    "skewness": "third standardised moment of one channel of the latents; 0 for a normal",
    "kurtosis": "fourth standardised moment of one channel of the latents, less 3; 0 for a normal",
}


@final
class LatentStatistics(Metric):
    """Mean, standard deviation, skewness and kurtosis of the latents, and the factor that brings them to variance 1.

    ``scaling_factor = 1 / std(z)``, ``shift_factor = mean(z)`` over all numbers of ``z ~ q(z|x)``, one draw for each example

    Models of latents, such as latent diffusion, are trained on ``(z - shift_factor) · scaling_factor``. Of maps
    ``(channels, height, width)`` there is a number of each kind for each channel, of vectors for each dimension, of several
    vectors for each dimension that they share; more than 16 of them are in the details of the scaling factor alone.
    Places of one example are not independent: standard errors are of the delta method, over the examples.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752, section G

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp", latent=1), split, "latent-statistics").rows][:3]
        ['scaling_factor', 'shift_factor', 'latent_mean[0]']
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        n = len(subject.split)
        if any(piece.kind in ("choice", "bits") for piece in subject.model.space.pieces):
            raise UndefinedError("some of its latents are classes, which have no mean")
        if n < 2:
            raise UndefinedError(f"standard deviations over examples need two or more, and there are {n}")
        centre, powers = _powers(subject)
        channels = powers.shape[2]
        channel = _statistics(centre, powers)
        means = centre.mean()
        whole = _statistics(means[None], _moved(powers, centre - means).mean(2, keepdim=True))
        (std, std_error), (mean, mean_error) = whole["std"], whole["mean"]
        if not std[0] > 0:
            raise UndefinedError(
                "its latents are the same number for every example, which no factor brings to variance 1"
            )
        by_channel = {
            name: [_plain(each) for each in values.tolist()] for name, (values, _) in channel.items()
        }
        definition = "1 / standard deviation of all numbers of the latents"
        error = (std_error[0] / std[0] ** 2).item()
        yield Row("scaling_factor", 1 / std[0].item(), error, n, "", definition, "", by_channel)
        yield Row(
            "shift_factor", mean[0].item(), mean_error[0].item(), n, "", "mean of all numbers of the latents"
        )
        if channels > _ROWS:
            reason = f"{channels} are too many rows: they are in the details of the scaling factor"
            yield Undefined("statistics of each channel", reason)
            return
        for name, (values, errors) in channel.items():
            for i, (value, error) in enumerate(zip(values.tolist(), errors.tolist(), strict=True)):
                label = f"latent_{name}[{i}]"
                if value != value:
                    yield Undefined(label, "this channel is the same number for every example")
                else:
                    yield Row(label, value, error, n, "", _DEFINITIONS[name])


def _powers(subject: Subject) -> tuple[Tensor, Tensor]:
    """A number amid each channel, ``(C,)``, and the mean powers of the distance from it, ``(4, N, C)``, over the places."""
    centre, parts = None, []
    for given, x, _ in subject.batches("latent statistics"):
        z = given.encode(x).sample().cpu().double()
        # Of maps the first index is the channel, of other latents the last.
        z = z.flatten(2) if z.dim() == 4 else z.reshape(len(z), -1, z.shape[-1]).mT
        centre = z.mean((0, 2)) if centre is None else centre
        far = z - centre[:, None]
        parts.append(torch.stack([(far**power).mean(2) for power in range(1, 5)]))
    assert centre is not None
    return centre, torch.cat(parts, 1)


def _moved(powers: Tensor, by: Tensor) -> Tensor:
    """Mean powers of ``t + by`` from those of ``t``, both ``(4, N, C)``."""
    a, b, c, d = powers
    return torch.stack(
        [
            a + by,
            b + 2 * by * a + by**2,
            c + 3 * by * b + 3 * by**2 * a + by**3,
            d + 4 * by * c + 6 * by**2 * b + 4 * by**3 * a + by**4,
        ]
    )


def _statistics(centre: Tensor, powers: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Each statistic and its standard error, ``(C,)`` each; NaN where there is none of a constant."""
    n, shift = powers.shape[1], powers[0].mean(0)
    a, b, c, d = _moved(powers, -shift)
    variance = b.mean(0)
    std = torch.where(variance > 1e-24 * (centre + shift).square(), variance, 0).sqrt()
    skewness, kurtosis = c.mean(0) / std**3, d.mean(0) / std**4 - 3
    unit = std.clamp(min=torch.finfo(std.dtype).tiny)
    u, v, w, y = a / unit, b / unit**2, c / unit**3, d / unit**4
    # How far each example moves the statistic, to first order.
    moves = {
        "mean": (centre + shift, a),
        "std": (std, unit * (v - 1) / 2),
        "skewness": (skewness, w - skewness - 3 * u - 1.5 * skewness * (v - 1)),
        "kurtosis": (kurtosis, y - 3 - kurtosis - 4 * skewness * u - 2 * (kurtosis + 3) * (v - 1)),
    }
    return {name: (value, move.std(0) / n**0.5) for name, (value, move) in moves.items()}


def _plain(value: float) -> float | None:
    return value if value == value else None
