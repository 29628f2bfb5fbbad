"""Invertible maps whose parameters come from networks, by zuko: autoregressive, coupling and spline maps."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod import UsageError
from genmod.plugins.posteriors._transported import Map

__all__ = ["NeuralKind", "NeuralMaps", "zuko_flows"]

_MOST_WEIGHTS = 2**28

NeuralKind = Literal["iaf", "maf", "nsf", "realnvp"]


@final
class NeuralMaps(nn.Module):
    """Invertible maps of vectors one after the other, whose networks take a context.

    - ``iaf``: each value is shifted and scaled by functions of those before it; the inverse takes one value at a time.
    - ``maf``: the inverse of that: forwards one value at a time, backwards all at once.
    - ``realnvp``: one half of the values is shifted and scaled by functions of the other half.
    - ``nsf``: in the same way, by monotone rational-quadratic splines between -5 and 5.

    Args:
        kind: which.
        n: number of values of a vector.
        context: number of values of the context; 0 for none.
        transforms: number of maps; each but the first takes the values in the opposite order.
        hidden: units of the hidden layers of each network.

    Reference:
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), arXiv:1606.04934;
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), arXiv:1705.07057;
        Density Estimation Using Real NVP (Dinh et al., 2016), arXiv:1605.08803;
        Neural Spline Flows (Durkan et al., 2019), arXiv:1906.04032

    Example:
        >>> (step,) = NeuralMaps("iaf", 3, 2, 1, [8]).maps(torch.zeros(4, 2))
        >>> step.forward(torch.zeros(5, 4, 3))[0].shape
        torch.Size([5, 4, 3])
    """

    def __init__(
        self, kind: NeuralKind, n: int, context: int, transforms: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        # Which weights are masked is computed, for which memory is taken whatever the device.
        sizes = (n + context, *hidden, n)
        weights = max(n**2, transforms * sum(a * b for a, b in pairwise(sizes)))
        if weights > _MOST_WEIGHTS:
            raise UsageError(
                f"the networks of the maps would have {weights:,} weights or more; at most {_MOST_WEIGHTS:,} are allowed",
                hint="choose fewer hidden units or fewer latents",
            )
        flows = zuko_flows()
        # Slopes of a spline between 1/20 and 20: steeper ones are spikes.
        make = partial(flows.NSF, slope=0.05) if kind == "nsf" else flows.MAF
        # Two passes there and back: the halves of a coupling map.
        halves = {} if kind in ("iaf", "maf") else {"passes": 2}
        # Older versions of torch do not know the device of a context.
        device = torch.empty(0).device
        with torch.device("cpu"):
            # The masks are computed from values, which not every device has.
            flow = make(
                n, context, transforms=transforms, hidden_features=tuple(hidden), activation=nn.ELU, **halves
            )
            _calm(flow)
        self.steps = flow.transform.transforms.to(device)
        self.backwards = kind == "maf"

    def maps(self, context: Tensor | None) -> list[Map]:
        """The maps for a context ``(*batch, context)``, in the order in which a draw goes through them."""
        return [_ZukoMap(step(context), self.backwards) for step in self.steps]


@torch.no_grad()
def _calm(flow: Any) -> None:
    """Start near the identity: a row of random splines has a density of many spikes."""
    for step in flow.transform.transforms:
        for parameter in step.hyper[-1].parameters() if hasattr(step, "hyper") else step.phi:
            parameter.mul_(0.1)


@final
class _ZukoMap(Map):
    def __init__(self, transform: Any, backwards: bool) -> None:
        self.there, self.back = (transform.inv, transform) if backwards else (transform, transform.inv)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = self.there.call_and_ladj(x)
        return y, log_det

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.back.call_and_ladj(y)
        return x, -log_det


def zuko_flows() -> Any:
    """zuko's flows. Importing them turns off the validation of all of torch's distributions: it is put back."""
    before = Distribution._validate_args
    try:
        import zuko.flows
    finally:
        Distribution.set_default_validate_args(before)
    return zuko.flows
