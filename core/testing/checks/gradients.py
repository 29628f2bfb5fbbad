"""Laws for gradients of reparametrised draws: against finite differences, and against quadrature where these fail."""

from typing import Any

import torch
from torch import Tensor

from genmod.evaluation.significance import reach
from genmod.system.random import reseed
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.inputs import jostle
from genmod.testing.quadrature import grid

__all__: list[str] = []

_DRAWS, _SEEDS = 20_000, 20
_EXAMPLES = 3


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
