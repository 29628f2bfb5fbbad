"""The range of data, to which errors of reconstructions are relative."""

from genmod import Subject, UndefinedError

__all__ = ["bounded_range"]


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
