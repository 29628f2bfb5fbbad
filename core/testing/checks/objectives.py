"""Laws for objectives, on a linear-Gaussian model whose log-density is known."""

import copy
from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from genmod.errors import UsageError
from genmod.interfaces.objective import Objective, Terms
from genmod.model.latent_variable import LatentVariableModel
from genmod.options.schedule import Clock, Schedule
from genmod.options.schema import options_of, validate
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect, expect_close, expect_gradient, listed
from genmod.testing.reference import (
    DATA,
    ReferenceKL,
    ReferenceNothing,
    exact_log_density,
    reference_model,
    set_exact_posterior,
)

__all__: list[str] = []

_BATCH = 4
_REPEATS = 2_000
_SIGMAS = 4.0
_MOST = 16
"""Draws of the latents, where their number is an option."""


def _model(case: Case, *, shared_noise: bool = True) -> LatentVariableModel:
    """The reference model with this objective and the first divergence that it accepts.

    Raises:
        NotApplicable: these options cannot be used.
        CheckFailed: it refuses the model.
    """
    try:
        objective = case.build()
    except UsageError as error:
        raise NotApplicable(f"these options are refused: {error.message}") from None
    refusals = []
    for divergence in (ReferenceKL(), ReferenceNothing()):
        if divergence.needs_prior and not objective.uses_divergence:
            continue
        model = reference_model(objective, divergence, shared_noise=shared_noise)
        try:
            objective.check(model)
        except UsageError as error:
            refusals.append(error.message)
            continue
        return model
    raise CheckFailed(f"it refuses a normal model with a KL, and one without: {'; '.join(refusals)}")


def _x(batch: int = _BATCH) -> Tensor:
    return torch.randn(batch, *DATA.shape, dtype=torch.float64)


def _losses(terms: Terms) -> Mapping[str, Tensor]:
    return terms.loss if isinstance(terms.loss, Mapping) else {"": terms.loss}


@check_for(
    "objective", remedy="give a loss of shape (), and values of shape (B,) in nats, one for each example"
)
def check_terms(case: Case) -> None:
    """The loss is one finite number, each value one for each example."""
    model = _model(case)
    for batch in (_BATCH, 1):
        terms = model.terms(_x(batch))
        for name, loss in _losses(terms).items():
            expect(loss.shape == (), f"loss {name} has shape {tuple(loss.shape)}, not ()".replace("  ", " "))
            expect(loss.isfinite(), f"for a batch of {batch} the loss is {loss.item()}")
        for name, value in terms.values.items():
            expect(value.shape == (batch,), f"value {name!r} has shape {tuple(value.shape)}, not {(batch,)}")
            expect(value.isfinite().all(), f"value {name!r} is not finite")
    groups = set(model.groups())
    named = set(_losses(model.terms(_x())))
    expect(named == {""} or named == groups, f"losses {sorted(named)} do not match groups {sorted(groups)}")


@check_for(
    "objective", remedy="use every part of the model, and detach nothing that its own group has to move"
)
def check_objective_gradient(case: Case) -> None:
    """The gradient of the loss reaches every parameter of its group."""
    model = _model(case)
    losses = _losses(model.terms(_x()))
    names = {id(p): name for name, p in model.named_parameters()}
    for group, parameters in model.groups().items():
        loss = losses.get(group, losses.get(""))
        wanted = [p for p in parameters if p.requires_grad]
        if loss is None or not wanted:
            continue
        expect(loss.requires_grad, "the loss carries no gradient")
        gradients = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
        for parameter, gradient in zip(wanted, gradients, strict=True):
            expect_gradient(gradient, names[id(parameter)])


@check_for("objective", remedy="average over the batch once, at the end, and sum over everything else")
def check_objective_batch(case: Case) -> None:
    """Repeating the batch changes neither loss nor gradient."""
    model, x = _model(case), _x()
    reached: list[tuple[Tensor, Tensor]] = []
    for copies in (1, 2, 8):
        loss = model.terms(x.repeat(copies, 1)).total
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        flat = torch.cat([g.flatten() for g in gradients if g is not None])
        reached.append((loss.detach(), flat))
    for copies, (loss, gradient) in zip((2, 8), reached[1:], strict=True):
        expect_close(loss, reached[0][0], f"loss of the batch {copies} times, and once")
        expect_close(gradient, reached[0][1], f"gradient of the batch {copies} times, and once")


@check_for("objective", remedy="compute each example's values from that example alone")
def check_objective_values(case: Case) -> None:
    """The values of an example do not depend on its neighbours."""
    model, x = _model(case), _x()
    whole, alone = model.terms(x).values, model.terms(x[:1]).values
    if not whole:
        raise NotApplicable("it reports no values")
    for name, value in whole.items():
        expect_close(alone[name], value[:1], f"value {name!r} of an example alone, and within a batch")


@check_for("objective", remedy="never look at self.training: what is watched must be what is minimised")
def check_train_and_evaluation(case: Case) -> None:
    """Training and evaluation use the same objective."""
    model, x = _model(case), _x()
    training, evaluation = model.train().terms(x).total, model.eval().terms(x).total
    expect_close(training, evaluation, "loss in training mode, and in evaluation mode")


@check_for("objective", remedy="read schedules with float(self.name); the trainer alone advances them")
def check_schedules(case: Case) -> None:
    """Computing the loss moves no schedule."""
    model = _model(case)
    schedules = {name: value for name, value in vars(model.objective).items() if isinstance(value, Schedule)}
    if not schedules:
        raise NotApplicable("it has no schedules")
    for schedule in schedules.values():
        schedule.advance(Clock(0, 10, 100))
    before = {name: float(copy.deepcopy(schedule)) for name, schedule in schedules.items()}
    for mode in (True, False):
        model.train(mode).terms(_x())
    for name, schedule in schedules.items():
        expect(float(schedule) == before[name], f"{name} moved from {before[name]:g} to {float(schedule):g}")


@check_for(
    "objective", remedy="report as elbo the bound itself: no weights, every constant, summed over dimensions"
)
@torch.no_grad()
def check_bound(case: Case) -> None:
    """Its ``elbo`` never exceeds the exact ``log p(x)``, and equals it where ``q`` is exact."""
    model, x, exact = _with_bound(case)
    bound, error = _bound(model, x)
    over = bound - exact - _SIGMAS * error
    expect(over.max() <= 1e-6, f"elbo {listed(bound)} ± {listed(error)} exceeds log p(x) = {listed(exact)}")
    set_exact_posterior(model)
    tight, error = _bound(model, x)
    off = (tight - exact).abs() - _SIGMAS * error
    expect(
        off.max() <= 1e-5,
        f"where q is exact, elbo is {listed(tight)} ± {listed(error)}, log p(x) {listed(exact)}",
    )


@check_for("objective", remedy="average weights, not their logarithms: logsumexp over the draws, minus log K")
@torch.no_grad()
def check_more_draws(case: Case) -> None:
    """``elbo`` of few draws ≤ of 16 draws ≤ ``log p(x)``, where the number of draws is the option ``samples``."""
    if "samples" not in {option.name for option in options_of(case.cls)}:
        raise NotApplicable("it has no option samples")
    made = _by_draws(case)
    if len(made) < 2:
        raise NotApplicable(f"of 1 to {_MOST} draws it takes {', '.join(map(str, made)) or 'none'} alone")
    model, x, exact = _with_bound(case)
    few, most = min(made), max(made)
    bounds = []
    for samples in (few, most):
        model.objective = made[samples]
        bounds.append(_bound(model, x))
    (one, one_error), (many, many_error) = bounds
    spread = (one_error**2 + many_error**2).sqrt()
    expect(
        (one <= many + _SIGMAS * spread + 1e-6).all(),
        f"elbo of {few} draw(s) {listed(one)}, of {most} draws {listed(many)}",
    )
    over = many - exact - _SIGMAS * many_error
    expect(over.max() <= 1e-6, f"elbo of {most} draws {listed(many)} exceeds log p(x) = {listed(exact)}")


def _by_draws(case: Case) -> dict[int, Objective]:
    """The objective for every number of draws that it accepts."""
    made = {}
    for samples in range(1, _MOST + 1):
        with suppress(UsageError):
            values = validate(case.cls, {**case.options, "samples": samples}, case.kind)
            made[samples] = case.cls(**values)
    return made


def _with_bound(case: Case) -> tuple[LatentVariableModel, Tensor, Tensor]:
    """A model whose objective reports an ELBO, examples, and their exact log-densities.

    Raises:
        NotApplicable: it reports none.
    """
    model, x = _model(case, shared_noise=False), _x()
    if "elbo" not in model.terms(x).values:
        raise NotApplicable("it reports no bound named elbo")
    return model, x, exact_log_density(model, x)


def _bound(model: LatentVariableModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the reported bound of each example and its standard error, each ``(B,)``."""
    values = model.terms(x.repeat(_REPEATS, 1)).values["elbo"].reshape(_REPEATS, len(x))
    return values.mean(0), values.std(0) / _REPEATS**0.5
