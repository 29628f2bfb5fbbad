"""Reconstructions of the examples of a split."""

from collections.abc import Iterator

from torch import Tensor

from genmod import Subject, UndefinedError

__all__ = ["bounded_range", "reconstructions"]


def reconstructions(subject: Subject) -> Iterator[tuple[Tensor, Tensor]]:
    """Observations and the mean of ``p(x|z)`` at their codes, batch by batch, ``(B, *data.shape)`` each.

    A code is the mean of ``q(z|x)``, or a draw where it has no known mean. Observations are those that the model
    encodes: binary images where its decoder makes them.

    Args:
        subject: what is measured.

    Yields:
        Observations and reconstructions, on the device of the model.
    """
    done = 0
    for model, x, _ in subject.batches("reconstruction"):
        q = model.encode(x)
        try:
            z = q.mean
        except NotImplementedError:
            z = q.sample()
        yield x, model.decode(z).mean
        done += len(x)
        subject.progress("reconstructing", done, len(subject.split))


def bounded_range(subject: Subject, what: str) -> float:
    """The width of the range of values.

    Raises:
        UndefinedError: they have no bounds, or some are missing.
    """
    data = subject.model.data
    width = data.high - data.low
    if width == float("inf"):
        raise UndefinedError(f"{what} is relative to the range of the data, and these have no bounds")
    if data.missing:
        raise UndefinedError(f"{what} is of whole examples, and values of the data are missing")
    return width
