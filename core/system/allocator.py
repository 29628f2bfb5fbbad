"""What the C library does with memory that was freed."""

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

# From malloc.h; the second is the largest that glibc takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _LARGEST_BLOCK = -1, -3, 32 << 20


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for what it allocates next.

    glibc hands large blocks back to the kernel as soon as they are free, and a step on the CPU, which allocates what the
    step before has freed, pays for thousands of page faults: a fifth of the time of a small convolutional model. The
    peak stays what it is; between peaks the process does not shrink. Results are the same to the bit.

    Returns:
        Whether that is so: not where another allocator is in use, or where ``MALLOC_*`` variables in the
        environment say what is wanted.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # Both, for either of them ends glibc's own adaptation of the other.
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
