"""Reconstructions of the examples of a split."""

from collections.abc import Iterator

from torch import Tensor

from genmod import Subject, UndefinedError

__all__ = ["bounded_range", "reconstructions"]


def reconstructions(subject: Subject, limit: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Observations and the mean of ``p(x|z)`` at their codes, batch by batch, ``(B, *data.shape)`` each.

    A code is the mean of ``q(z|x)``, or a draw where it has no known mean. Observations are those that the model
    encodes: binary images where its decoder makes them.

    Args:
        subject: what is measured.
        limit: number of examples, the first ones; by default all.

    Yields:
        Observations and reconstructions, on the device of the model.
    """
    done, count = 0, min(limit or len(subject.split), len(subject.split))
    for model, x, _ in subject.batches("reconstruction", limit=limit):
        q = model.encode(x)
        try:
            z = q.mean
        except NotImplementedError:
            z = q.sample()
        yield x, model.decode(z).mean
        done += len(x)
        subject.progress("reconstructing", done, count)


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
