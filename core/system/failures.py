"""Known failures of torch as errors with a hint."""

from collections.abc import Iterator
from contextlib import contextmanager

from genmod.errors import GenmodError, UsageError

__all__ = ["OutOfMemoryError", "line_in", "named", "named_failures"]

_NO_MEMORY = ("can't allocate memory", "out of memory", "unable to allocate")


class OutOfMemoryError(GenmodError, MemoryError):
    """There is not enough memory."""


def named(error: BaseException) -> GenmodError | None:
    """The error with a hint for a known error of torch or numpy; None for any other.

    Example:
        >>> named(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")).message
        'there is not enough memory: CUDA out of memory. Tried to allocate 2 GiB'
    """
    if isinstance(error, GenmodError) or not isinstance(error, MemoryError | RuntimeError | ValueError):
        return None
    text = str(error)
    first = text.partition("\n")[0].partition(". GPU ")[0]
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _NO_MEMORY):
        return OutOfMemoryError(
            f"there is not enough memory{f': {first}' if first else ''}",
            hint="compute fewer examples at a time: genmod train --batch-size N, or --accumulate N for batches of the same "
            "size; or build a smaller model, or choose another --device",
        )
    if "Expected more than 1 value per channel" in text:
        return UsageError(
            "batch normalisation needs at least two examples at a time in training; there is one",
            hint="train with a larger --batch-size or a smaller --accumulate, or build with another norm: "
            "-s encoder.norm=group",
        )
    return None


def line_in(package: str, error: BaseException) -> str:
    """Where in the code of a package an error was raised: ``/there/mine.py, line 3``; empty where it was elsewhere.

    Args:
        package: name of a module, or of the package around it.
        error: as it was caught.
    """
    step, found = error.__traceback__, ""
    while step is not None:
        frame = step.tb_frame
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package.partition(".")[0]:
            found = f"{frame.f_code.co_filename}, line {step.tb_lineno}"
        step = step.tb_next
    return found


@contextmanager
def named_failures() -> Iterator[None]:
    """Context in which known failures are raised as the errors of :func:`named`."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:
        found = named(error)
        if found is None:
            raise
        raise found from error
