"""Laws for gradients: against finite differences, and against quadrature or on average where these fail."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from genmod.evaluation.significance import reach
from genmod.system.random import reseed
from genmod.testing.case import Case, NotApplicable, whole
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.inputs import jostle
from genmod.testing.quadrature import grid

__all__: list[str] = []

_DRAWS, _SEEDS = 20_000, 20
_EXAMPLES = 3
_STEP, _CLOSE = 1e-5, 1e-6
"""Step of differences in double precision, and the relative error that they may have."""
_BATCH, _DRAWN, _PAIRS = 8, 50, 3
"""Of divergences: examples, draws of each, and pairs of a posterior and a prior."""


@check_for(
    "posterior", remedy="draw in rsample as a differentiable function of the parameters: loc + scale * noise"
)
def check_rsample_gradient(case: Case) -> None:
    """The gradient of ``E[f(z)]`` through draws is that of finite differences with common random numbers."""
    for part, wiring in case.accepted([(7,)], [(1,), (2,)]):
        if part.support is not None and part.support.is_discrete:
            raise NotApplicable("its support is discrete: no gradient through draws is exact")
        jostle(part)
        part.double().eval()
        features = torch.randn(1, 7, dtype=torch.float64, requires_grad=True)
        direction, step = torch.randn(1, 7, dtype=torch.float64), 1e-5

        def values(at: Tensor, part: torch.nn.Module = part) -> Tensor:
            reseed(5)
            return _test_function(part(at).rsample((_DRAWS,)))[:, 0]

        expect(part(features).has_rsample, "its distribution declares has_rsample = False")
        mean = values(features).mean()
        expect(mean.requires_grad, "draws carry no gradient")
        (gradient,) = torch.autograd.grad(mean, features)
        through = float((gradient * direction).sum())
        with torch.no_grad():
            slopes = (values(features + step * direction) - values(features - step * direction)) / (2 * step)
        difference = float(slopes.mean())
        if abs(through - difference) <= 1e-5 * max(abs(difference), 1e-3):
            continue
        # Samplers that accept and reject jump under common random numbers; their mean still has a derivative.
        exact = _by_quadrature(part, features, direction) if part.has_density else None
        if exact is None:
            raise CheckFailed(
                f"latents {wiring[1]}: {through:.6g} through draws, {difference:.6g} by differences"
            )
        error = _standard_error(part, features, direction)
        expect(
            abs(through - exact) <= reach(5, _SEEDS - 1) * error + 1e-4,
            f"latents {wiring[1]}: {through:.5g} ± {error:.2g} through draws, {exact:.5g} by quadrature",
        )


@check_for(
    "posterior",
    "prior",
    "decoder",
    remedy="compute log_prob from value and parameters in their own precision, with nothing detached, rounded or clamped",
)
def check_density_gradient(case: Case) -> None:
    """The gradient of log-densities at given points is that of finite differences, in double precision."""
    trial = case.trial()
    part: Any = trial.part
    if len(trial.inputs) < 2 and case.kind == "posterior":
        raise NotApplicable("it declares has_density = False")
    whole(part).double().eval()
    points = trial.inputs[-1].double()
    given = trial.inputs[0].double().requires_grad_()
    if case.kind == "prior":
        moved: list[Tensor] = [p for p in whole(part).parameters() if p.requires_grad]
        density = lambda: part().log_prob(points)  # noqa: E731
    else:
        moved = [given]
        density = lambda: part(given).log_prob(points)  # noqa: E731
    if not moved:
        raise NotApplicable("it has no parameters")
    _expect_slope(density, moved, "the log-density")


def _expect_slope(compute: Callable[[], Tensor], moved: list[Tensor], what: str) -> None:
    """Fail unless the gradient of a sum is that of central differences, along one direction."""
    reseed(5)
    values = compute()
    directions = [torch.randn_like(each) for each in moved]
    gradients: Any = [None] * len(moved)
    if values.requires_grad:
        gradients = torch.autograd.grad(values.sum(), moved, allow_unused=True)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    sides = []
    with torch.no_grad():
        for sign in (1, -2, 1):
            for each, direction in zip(moved, directions, strict=True):
                each.add_(sign * _STEP * direction)
            reseed(5)
            sides.append(compute().sum())
    difference = float(sides[0] - sides[1]) / (2 * _STEP)
    expect(
        abs(slope - difference) <= _CLOSE * max(abs(difference), abs(float(values.detach().sum())), 1.0),
        f"the slope of {what} is {slope:.7g} by its gradient and {difference:.7g} by differences",
    )


@check_for(
    "divergence",
    remedy="let gradients reach q through its parameters and its draws: no detach(), no .data, no no_grad() on the way",
)
def check_divergence_gradient(case: Case) -> None:
    """Its gradient at the features behind ``q`` is that of its expected value, by differences with common random numbers."""
    part: Any = case.build().double().eval()
    if not part.needs_prior:
        raise NotApplicable("it declares needs_prior = False")
    for q_of, p_of in islice(case.pairs(part), _PAIRS):
        for each in (q_of, p_of):
            whole(each).double().eval()
        features = torch.randn(_BATCH, 7, dtype=torch.float64).requires_grad_()
        direction = torch.randn_like(features)
        where = f"{type(q_of).__name__} and {type(p_of).__name__}"
        p = p_of()

        def value(at: Tensor, seed: int, q_of: Any = q_of, p: Any = p) -> Tensor:
            reseed(seed)
            q = q_of(at)
            return part(q, p, q.rsample((_DRAWN,))).mean()  # type: ignore[no-any-return]

        slopes, differences = [], []
        for seed in range(_SEEDS):
            mean = value(features, seed)
            expect(mean.requires_grad, f"{where}: no gradient reaches q")
            (gradient,) = torch.autograd.grad(mean, features, allow_unused=True)
            expect(gradient is not None and gradient.any(), f"{where}: no gradient reaches q")
            slopes.append(float((gradient * direction).sum()))
            if q_of.support is not None and q_of.support.is_discrete:
                break
            with torch.no_grad():
                sides = [value(features + sign * _STEP * direction, seed) for sign in (1, -1)]
            differences.append(float(sides[0] - sides[1]) / (2 * _STEP))
            if abs(slopes[-1] - differences[-1]) <= 1e-5 * max(abs(differences[-1]), 1e-3):
                break
        else:
            off = torch.tensor(slopes) - torch.tensor(differences)
            error = float(off.std()) / _SEEDS**0.5
            # Some estimators leave out parts that are zero in expectation alone.
            expect(
                abs(float(off.mean())) <= reach(5, _SEEDS - 1) * error + 1e-4,
                f"{where}: its slope is {torch.tensor(slopes).mean():.5g} by its gradient and "
                f"{torch.tensor(differences).mean():.5g} by differences, ± {error:.2g}",
            )


@check_for(
    "posterior",
    remedy="differentiate within torch.enable_grad(), example by example; let draws keep a density that is known of them alone",
)
def check_joint(case: Case) -> None:
    """One that wants the joint density uses it, with gradients on and off, each example that of its own."""
    part: Any = case.trial().part.double().eval()
    if not part.wants_joint:
        raise NotApplicable("it does not want the joint density")
    shape = (_EXAMPLES, *part.feature_shape)
    features, middle = torch.randn(shape).double(), torch.randn(_EXAMPLES, *part.latent_shape).double()

    def joint(z: Tensor) -> Tensor:
        return -(z - middle).square().flatten(-len(part.latent_shape)).sum(-1)

    found = []
    for wanted in (True, False):
        with torch.set_grad_enabled(wanted):
            reseed(5)
            try:
                q = part(features, joint)
                z = q.rsample((2,))
            except RuntimeError as error:
                expect(wanted, f"where gradients are off it raises {error}")
                raise
            density = q.log_prob(z)
            reseed(5)
            plain = part(features).rsample((2,))
        found.append((z.detach(), density.detach()))
        expect(wanted or not (z.requires_grad or density.requires_grad), "without gradients it keeps a graph")
        expect(density.isfinite().all(), "the density of a draw of its own is not finite")
        expect(not torch.equal(z, plain), "its draws are the same with a joint density and without")
    for a, b in zip(*found, strict=True):
        expect(torch.allclose(a, b), "its draws are others where gradients are off")
    middle[1:] += 1
    reseed(5)
    moved = part(features, joint).rsample((2,)).detach()
    expect(
        torch.allclose(moved[:, 0], found[0][0][:, 0]), "draws of an example depend on the density of another"
    )


def _test_function(z: Tensor) -> Tensor:
    """Something smooth and bounded by a square, ``(n, B, *latent) → (n, B)``."""
    return (z + 0.3).square().flatten(2).sum(2)


def _by_quadrature(part: torch.nn.Module, features: Tensor, direction: Tensor) -> float | None:
    q = part(features)
    draws = q.sample((2000,))[:, 0]
    made = grid(part.support, draws.double())  # type: ignore[arg-type]
    if made is None:
        return None
    points, weights = made
    mean = (_test_function(points[:, None])[:, 0] * q.log_prob(points[:, None])[:, 0].exp() * weights).sum()
    (gradient,) = torch.autograd.grad(mean, features)
    return float((gradient * direction).sum())


def _standard_error(part: torch.nn.Module, features: Tensor, direction: Tensor) -> float:
    gradients = []
    for seed in range(_SEEDS):
        reseed(seed)
        mean = _test_function(part(features).rsample((_DRAWS // _SEEDS,))).mean()
        (gradient,) = torch.autograd.grad(mean, features)
        gradients.append(float((gradient * direction).sum()))
    return float(torch.tensor(gradients).std()) / _SEEDS**0.5
