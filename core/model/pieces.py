"""How many examples are worked on at a time where each has draws of its own."""

import math
from typing import TYPE_CHECKING

from genmod.data.dataset import DataInfo

if TYPE_CHECKING:
    from genmod.interfaces.model import GenerativeModel

__all__ = ["MOST", "examples_at_once", "held"]

MOST = 500
_VALUES = 2**22
_PARAMETERS = 2**27
_HELD = 2**26


def examples_at_once(model: "GenerativeModel") -> int:
    """Examples between two seeds, 500 or fewer: as many as have four million values, and 134 million parameters of likelihoods.

    A function of shapes alone, never of the machine: what is drawn is a function of the seed and of this number. Networks,
    which take most of the memory, are run on fewer at a time where that is needed, which changes no draw.

    Example:
        >>> import genmod
        >>> examples_at_once(genmod.build(encoder="mlp"))
        500
    """
    decoder = getattr(model, "decoder", None)
    parameters = math.prod(decoder.parameter_shape) if decoder is not None else model.data.size
    return max(1, min(MOST, _VALUES // model.data.size, _PARAMETERS // parameters))


def held(n: int, data: DataInfo) -> int:
    """As many of ``n`` examples as have 67 million values, but 16: how many are kept at a time to look at or to compare with.

    Example:
        >>> held(5000, DataInfo((3, 32, 32))), held(5000, DataInfo((3, 512, 512)))
        (5000, 85)
    """
    return min(n, max(16, _HELD // data.size))
