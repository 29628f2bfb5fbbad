"""Laws for what a distribution says of itself beside its density: variance, entropy, and what it is for a larger batch."""

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod.testing.case import Case, NotApplicable, whole
from genmod.testing.check import check_for, expect, expect_close, expect_shape
from genmod.testing.checks.densities import densities

__all__: list[str] = []

_SIGMAS = 5.0
_ENTROPY = 5e-3
"""Relative error of the quadrature that is allowed, above its absolute one."""


@check_for(
    "posterior",
    "prior",
    "decoder",
    "sampler",
    remedy="return the variance, not a scale, and -E[log_prob] as entropy; leave out what you cannot compute",
)
@torch.no_grad()
def check_moments(case: Case) -> None:
    """Where a distribution states a variance or an entropy, these are those of its draws and of its density."""
    checked = False
    for density in densities(case):
        draws = density.draws.reshape(len(density.draws), -1)
        stated = _stated(density.distribution, "variance")
        if stated is not None:
            squares = (draws - draws.mean(0)).square()
            error = squares.std(0) / len(draws) ** 0.5
            stated = stated.reshape(-1).double()
            # Of heavy tails it may not exist, or converge too slowly to be compared.
            tame = stated.isfinite() & (squares.amax(0) < 100 * squares.std(0) + 1e-12)
            if tame.all():
                checked = True
                off = (squares.mean(0) - stated).abs() - _SIGMAS * error
                worst = int(off.argmax())
                expect(
                    off[worst] <= 1e-6 + 1e-6 * float(stated[worst]),
                    f"{density.where}: the variance of {len(draws):,} draws is {float(squares.mean(0)[worst]):.5g} ± "
                    f"{float(error[worst]):.2g}, the stated one {float(stated[worst]):.5g}",
                )
        stated = _stated(density.distribution, "entropy")
        if stated is not None:
            checked = True
            points = density.points.unsqueeze(1) if density.distribution.batch_shape else density.points
            log_density = density.distribution.log_prob(points).reshape(-1)
            entropy = -float(torch.where(density.mass > 0, density.mass * log_density, 0.0).sum())
            given = float(stated.reshape(-1)[0])
            expect(
                abs(given - entropy) <= _ENTROPY * (1 + abs(entropy)) * density.dims,
                f"{density.where}: the entropy of its density is {entropy:.5g} nats, the stated one {given:.5g}",
            )
    if not checked:
        raise NotApplicable("it states neither a variance nor an entropy that could be compared")


def _stated(distribution: Distribution, name: str) -> Tensor | None:
    try:
        stated = getattr(distribution, name)
        found: Tensor = stated() if callable(stated) else stated
    except (NotImplementedError, AttributeError):
        return None
    return found


@check_for(
    "posterior",
    "prior",
    "decoder",
    remedy="give every parameter to expand, def expand(self, batch_shape, _instance=None), or leave it out",
)
@torch.no_grad()
def check_expand(case: Case) -> None:
    """Expanded to a larger batch, a distribution has the same density and draws of the larger shape."""
    trial = case.trial().eval()
    whole(trial.part).double()
    made = trial.part() if case.kind == "prior" else trial.part(trial.inputs[0].double())
    if case.kind == "posterior" and len(trial.inputs) < 2:
        raise NotApplicable("it declares has_density = False")
    batch = torch.Size((2, *made.batch_shape))
    try:
        wide = made.expand(batch)
        points = made.sample()
        density = wide.log_prob(points)
    except NotImplementedError:
        raise NotApplicable("it does not expand") from None
    expect_shape(wide.sample((3,)), (3, *batch, *made.event_shape), "of an expanded one, 3 draws")
    expect_close(density, made.log_prob(points).expand(batch), "log-density of an expanded one, and before")
