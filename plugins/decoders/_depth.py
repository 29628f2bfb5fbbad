"""What likelihoods of counts share: log-means from the network, as they are or as shares of the depth of an example."""

import math
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.distributions import constraints

from genmod import DataInfo, Decoder, Doc, UsageError, bounded_log_scale
from genmod.plugins.decoders._ranges import require_counts

__all__ = ["CountsDecoder", "SizeFactor", "bounded_log_rate"]

SizeFactor = Annotated[
    Literal["none", "observed"],
    Doc(
        "observed: means are shares of the depth of an example, its total count, which the likelihood is given"
    ),
]

_QUANTILES = 1025
_EXAMPLES, _VALUES = 10_000, 2**25


def bounded_log_rate(x: Tensor) -> Tensor:
    """An unbounded number to a log-rate in ``(-18, 18)``, the identity to first order at zero, any shape.

    Example:
        >>> bounded_log_rate(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.9985])
    """
    return 2 * bounded_log_scale(x / 2)


class CountsDecoder(Decoder):
    """Counts with a mean from the network for each value.

    ``μ_i = exp(y_i)``, with size factors ``μ_i = l softmax(y)_i``, ``l`` the depth of the example; outputs of the network
    ``y`` are bounded to ±18

    The depth is the total count, 1 of an example without counts. Of new examples it is drawn from the quantiles of the
    depths of the training data, which are kept in a buffer; a typical example has their median.

    Args:
        name: of the decoder.
        data: shape and range of the data.
        size_factor: see the option of that name.

    Raises:
        UsageError: the data are not counts, or values may be missing, so that the total count is not known.
    """

    log_depths: Tensor

    def __init__(self, name: str, data: DataInfo, size_factor: str) -> None:
        require_counts(name, data)
        super().__init__(data)
        self.support = constraints.independent(constraints.nonnegative_integer, len(data.shape))
        if size_factor == "none":
            return
        if data.missing:
            raise UsageError(
                f"decoder {name!r} was given size_factor=observed, and values may be missing, so that no total is known",
                hint="leave -s decoder.size_factor out, or -s dataset.missing",
            )
        self.exposure = "depth"
        self.examples_wanted = max(1, min(_EXAMPLES, _VALUES // data.size))
        self.register_buffer("log_depths", torch.full((_QUANTILES,), math.log(data.size)))

    def prepare(self, examples: Tensor) -> None:
        if self.exposure:
            levels = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64)
            # Between two depths of the data lies no depth, so none is made up.
            found = self.log_exposure(self.data.values(examples, torch.float64)).quantile(
                levels, interpolation="nearest"
            )
            self.log_depths.copy_(found)

    def log_exposure(self, x: Tensor) -> Tensor:
        return x.flatten(1).double().sum(1).clamp(min=1).log().to(x.dtype)

    def log_exposures(self, n: int, *, draw: bool) -> Tensor:
        middle = self.log_depths[_QUANTILES // 2]
        if not draw:
            return middle.expand(n)
        # On the CPU, as the random state of every device gives the same depths there.
        places = torch.randint(_QUANTILES, (n,), device="cpu").to(self.log_depths.device)
        return self.log_depths[places]

    def log_mean(self, outputs: Tensor, exposure: Tensor | None) -> Tensor:
        """``log μ`` of outputs ``(*batch, *data.shape)``; without ``exposure (*batch)``, of a typical example."""
        logs = bounded_log_rate(outputs)
        if not self.exposure:
            return logs
        dims = len(self.data.shape)
        shares = logs.flatten(-dims).log_softmax(-1).reshape(logs.shape)
        depth: Any = self.log_exposures(1, draw=False)[0] if exposure is None else exposure
        return shares + depth[(..., *[None] * dims)]
