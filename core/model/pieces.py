"""Chunk sizes: how many examples are processed at a time."""

import math
from typing import TYPE_CHECKING

from genmod.data.dataset import DataInfo

if TYPE_CHECKING:
    from genmod.interfaces.given import WholeModel
    from genmod.interfaces.model import GenerativeModel

__all__ = ["MOST", "examples_at_once", "held"]

MOST = 500
_VALUES = 2**22
_PARAMETERS = 2**27
_HELD = 2**26


def examples_at_once(model: "GenerativeModel | WholeModel") -> int:
    """The number of examples that share a seed: at most 500, 4 million values, and 134 million likelihood parameters.

    It depends on shapes alone, never on the machine, because the random numbers depend on it. Where memory is short,
    networks are run on fewer examples at a time, which does not change the random numbers.

    Example:
        >>> import genmod
        >>> examples_at_once(genmod.build(encoder="mlp"))
        500
    """
    decoder = getattr(model, "decoder", None)
    parameters = math.prod(decoder.parameter_shape) if decoder is not None else model.data.size
    return max(1, min(MOST, _VALUES // model.data.size, _PARAMETERS // parameters))


def held(n: int, data: DataInfo) -> int:
    """How many of ``n`` examples are kept in memory to be compared: at most 67 million values, but at least 16 examples.

    Example:
        >>> held(5000, DataInfo((3, 32, 32))), held(5000, DataInfo((3, 512, 512)))
        (5000, 85)
    """
    return min(n, max(16, _HELD // data.size))
