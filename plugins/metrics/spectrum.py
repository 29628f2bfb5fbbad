"""Which frequencies of pictures reconstructions lose."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, UndefinedError
from genmod.evaluation import NO_POWER, Bands, octaves, power_spectrum

__all__ = ["Spectrum", "share_row"]


@final
class Spectrum(Metric):
    """How much of the power of pictures the reconstructions lose, by frequency.

    ``lost_power[band] = Σ |E(f)|² / Σ |X(f)|²`` over the frequencies ``f`` of a band, ``E`` the spectrum of the errors and
    ``X`` that of the pictures

    0 where everything is kept, 1 where nothing is, as in a reconstruction that blurs it away; more where what is drawn
    instead is wrong. Bands are octaves of the distance of a frequency from zero, in cycles per pixel: above ``1/2f``
    there is what a map that is ``f`` times smaller cannot hold as such. ``mean`` is the brightness, and the first row is of all
    other frequencies. In the details are the powers themselves, in squared units of the data and averaged over
    the channels; those of the errors add up to the mean squared error.

    Reference:
        On the Spectral Bias of Neural Networks (Rahaman et al., 2018), arXiv:1806.08734;
        Discrete Cosine Transform (Ahmed, Natarajan and Rao, 1974), doi:10.1109/T-C.1974.223784, for the spectrum

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "spectrum").rows][:3]
        ['lost_power', 'lost_power[mean]', 'lost_power[1/16-1/8]']
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = subject.model.data
        if not data.is_image:
            raise UndefinedError(f"spectra are of images, and an example has the shape {data.shape}")
        if data.missing:
            raise UndefinedError("spectra are of whole images, and values of the data are missing")
        height, width = data.shape[1:]
        names = octaves(height, width)
        bands = Bands(list(names.values()), height, width)
        errors, pictures = (
            torch.cat(parts)
            for parts in zip(
                *(
                    (bands.sums(power_spectrum(z)).cpu() for z in (x - y, x))
                    for x, y in subject.reconstructions()
                ),
                strict=True,
            )
        )
        whole = pictures.mean(0).sum()
        definition = (
            "power of the errors of reconstructions over that of the pictures, of all frequencies but zero"
        )
        yield share_row("lost_power", errors[:, 1:].sum(1), pictures[:, 1:].sum(1), whole, definition)
        for i, name in enumerate(names):
            at = "zero" if name == "mean" else f"{name} cycles per pixel"
            definition = (
                f"power of the errors of reconstructions over that of the pictures, at frequencies of {at}"
            )
            yield share_row(f"lost_power[{name}]", errors[:, i], pictures[:, i], whole, definition)


def share_row(name: str, errors: Tensor, pictures: Tensor, whole: Tensor, definition: str) -> Row | Undefined:
    """A ratio of two means over the examples, with its error by the delta method."""
    n, lost, power = len(errors), errors.mean(), pictures.mean()
    if not power > NO_POWER * whole:
        return Undefined(name, "the pictures have no power at these frequencies")
    ratio = lost / power
    error = ((errors - ratio * pictures) / power).std().item() / n**0.5 if n > 1 else float("nan")
    details = {"errors": lost.item(), "pictures": power.item()}
    return Row(name, ratio.item(), error, n, "", definition, "lower", details)
