"""Laws for what an objective's loss does and what it reports, on a linear-Gaussian model of which all is known."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from genmod.model.latent_variable import LatentVariableModel
from genmod.system.random import reseed
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect, listed
from genmod.testing.checks.objectives import examples_of, losses_of, model_with
from genmod.testing.reference import exact_distortion, exact_log_density, set_exact_posterior

__all__: list[str] = []

_FAR = 20.0
"""How far off a part of the model is put: a gross error, which every objective mends, however it weighs its terms."""
_STEEP = 0.1
"""Cosine of the angle between a step down the loss and the steepest way that it must at least have."""
_LITTLE = 0.05
_COPIES, _REPEATS, _SIGMAS = 32, 2_000, 5.0


@dataclass(frozen=True)
class _Error:
    """A model of which one part is far off.

    Args:
        what: what is too high.
        model: the model.
        x: examples.
        moved: the parameters that are to blame.
        measure: how high it is, ``()``, differentiable, nats.
        mend: makes it lower.
        needed: whether every objective of this kind has to lower it.
    """

    what: str
    model: LatentVariableModel
    x: Tensor
    moved: list[nn.Parameter]
    measure: Callable[[], Tensor]
    mend: Callable[[], Any]
    needed: bool = True


@check_for(
    "objective",
    remedy="let the loss fall as the bound rises: distortion plus rate, neither of them detached nor of the other sign",
)
def check_descent(case: Case) -> None:
    """Where a part of the model is far off, a step down the loss raises ``log p(x)``, or lowers distortion or rate."""
    for error in _errors(case):
        step = _gradient(error)
        nats = error.measure()
        steepest = torch.cat([g.flatten() for g in torch.autograd.grad(nats, error.moved)])
        where = f"where {error.what} is off by {float(nats.detach()):.4g} nats"
        before = _logged(error)
        with torch.no_grad():
            error.mend()
        after = _logged(error)
        if not (error.needed or step.any() or abs(after - before) > 1e-9 * abs(before)):
            continue
        expect(step.any(), f"{where}, the gradient of the loss at what is to blame is zero")
        slope = float(step @ steepest / (step.norm() * steepest.norm()))
        expect(
            slope >= _STEEP,
            f"{where}, a step down the loss {'makes it worse' if slope < 0 else 'hardly mends it'}: the cosine of its "
            f"gradient and that of the error is {slope:.2g}",
        )
        expect(
            after <= before, f"{where}, the loss is {before:.5g}, and {after:.5g} where it is mended in part"
        )


def _errors(case: Case) -> Iterator[_Error]:
    # Of many draws, because a gradient may be right in expectation alone.
    model, x = model_with(case, shared_noise=False), examples_of().repeat(_COPIES, 1)
    network: Any = model.network.layer
    with torch.no_grad():
        network.bias.add_(_FAR)
    yield _Error(
        *("-log p(x)", model, x, [network.bias]),
        measure=lambda: -exact_log_density(model, x).mean(),
        mend=lambda: network.bias.sub_(_FAR / 2),
    )
    # From here on, codes are to blame: of examples far from what the network makes of the usual ones, or far themselves.
    model = model_with(case, shared_noise=False)
    posterior: Any = model.posterior
    network = model.network.layer
    with torch.no_grad():
        for layer in (posterior.loc, posterior.log_scale):
            layer.weight.zero_()
            layer.bias.zero_()
        x = (
            network.bias
            + _FAR * torch.tensor([[1.0, 1], [-1, 1], [1, -1], [2, 1]], dtype=x.dtype) @ network.weight.T
        )
    yield _Error(
        *("the distortion", model, x, [posterior.loc.weight]),
        measure=lambda: exact_distortion(model, model.encode(x), x).mean(),
        mend=lambda: _towards_exact(model),
    )
    model = model_with(case, shared_noise=False)
    posterior, network = model.posterior, model.network.layer
    with torch.no_grad():
        network.weight.zero_()
        posterior.loc.bias.add_(_FAR)
    objective: Any = model.objective
    yield _Error(
        *("the rate", model, x := examples_of().repeat(_COPIES, 1), [posterior.loc.bias]),
        measure=lambda: kl_divergence(model.encode(x), model.prior()).mean(),
        mend=lambda: posterior.loc.bias.sub_(_FAR / 2),
        # With options that were given it may weigh nothing.
        needed=not case.options and (objective.uses_divergence or objective.needs_densities),
    )


def _logged(error: _Error) -> float:
    """The loss that is logged, always with the same noise."""
    reseed(5)
    return float(error.model.terms(error.x).total.detach())


def _towards_exact(model: LatentVariableModel) -> None:
    """Move means from zero a little of the way to those of the exact posterior, so that the rate stays low."""
    exact, posterior = copy.deepcopy(model), model.posterior
    set_exact_posterior(exact)
    for mine, right in zip(posterior.loc.parameters(), exact.posterior.loc.parameters(), strict=True):  # type: ignore[union-attr]
        mine.copy_(_LITTLE * right)


def _gradient(error: _Error) -> Tensor:
    """Gradient of the loss of their group at the parameters that are to blame, as one vector."""
    losses = losses_of(error.model.terms(error.x))
    groups = {id(p): name for name, group in error.model.groups().items() for p in group}
    found = []
    for parameter in error.moved:
        loss = losses.get(groups.get(id(parameter), ""), losses.get(""))
        gradient = None
        if loss is not None and loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
        found.append((torch.zeros_like(parameter) if gradient is None else gradient).flatten())
    return torch.cat(found)


@check_for(
    "objective",
    remedy="report as distortion -log p(x|z), as rate the divergence: means over draws, unweighted, each under its own name",
)
@torch.no_grad()
def check_reported(case: Case) -> None:
    """What it reports as ``distortion`` and ``rate`` are those of the posterior that it encoded."""
    model, x = model_with(case, shared_noise=False), examples_of()
    encoded: list[Distribution] = []
    encode = model.encode

    def listening(*given: Any, **named: Any) -> Distribution:
        encoded.append(encode(*given, **named))
        return encoded[-1]

    model.encode = listening  # type: ignore[method-assign]
    values = model.terms(x.repeat(_REPEATS, 1)).values
    # It may see other examples than it is given, with noise, as long as it says what is true of these.
    exact = [
        {
            "distortion": exact_distortion(model, q, x.repeat(_REPEATS, 1)),
            "rate": kl_divergence(q, model.prior()),
        }
        for q in encoded or [encode(x.repeat(_REPEATS, 1))]
        if q.batch_shape == (_REPEATS * len(x),)
    ]
    objective: Any = model.objective
    is_kl = model.divergence.is_kl if objective.uses_divergence else objective.needs_densities
    names = [name for name in ("distortion", "rate") if name in values and (name != "rate" or is_kl)]
    if not (names and exact):
        raise NotApplicable("it reports neither a distortion nor a KL as its rate")
    for name in names:
        mean, error = _mean(values[name])
        wanted = [_mean(each[name]) for each in exact]
        off = min(
            float(((mean - right).abs() - _SIGMAS * (error**2 + spread**2).sqrt() - 1e-6 * right.abs()).max())
            for right, spread in wanted
        )
        expect(
            off <= 1e-6,
            f"it reports as {name} {listed(mean)} ± {listed(error)}, and the {name} of what it encoded is "
            f"{listed(wanted[0][0])}",
        )


def _mean(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each example over its repeats and its standard error, ``(repeats · B,) → (B,)`` each."""
    each = values.reshape(_REPEATS, -1)
    return each.mean(0), each.std(0) / _REPEATS**0.5
