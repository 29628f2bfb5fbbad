"""Laws for objectives, on a linear-Gaussian model whose log-density is known."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor

from genmod.defaults import BOUNDS
from genmod.errors import UsageError
from genmod.evaluation.significance import reach
from genmod.interfaces.objective import Objective, Terms
from genmod.model.latent_variable import LatentVariableModel
from genmod.options.schedule import Clock, Schedule
from genmod.options.schema import options_of, validate
from genmod.system.random import reseed
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

__all__ = ["examples_of", "losses_of", "model_with"]

_BATCH = 4
_REPEATS = 2_000
_SIGMAS = 4.0
_AVERAGED = 20
"""Losses of which the mean is taken where an objective draws."""
_MOST = 16
"""Draws of the latents, where their number is an option."""


def model_with(case: Case, *, shared_noise: bool = True) -> LatentVariableModel:
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


def examples_of(batch: int = _BATCH) -> Tensor:
    """Examples of the reference model's data, ``(batch, 3)``."""
    return torch.randn(batch, *DATA.shape, dtype=torch.float64)


def losses_of(terms: Terms) -> Mapping[str, Tensor]:
    """The losses by parameter group; a single one has no name."""
    return terms.loss if isinstance(terms.loss, Mapping) else {"": terms.loss}


@check_for(
    "objective", remedy="give a loss of shape (), and values of shape (B,) in nats, one for each example"
)
def check_terms(case: Case) -> None:
    """The loss is one finite number, each value one for each example."""
    model = model_with(case)
    for batch in (_BATCH, 1):
        terms = model.terms(examples_of(batch))
        for name, loss in losses_of(terms).items():
            expect(loss.shape == (), f"loss {name} has shape {tuple(loss.shape)}, not ()".replace("  ", " "))
            expect(loss.isfinite(), f"for a batch of {batch} the loss is {loss.item()}")
        for name, value in terms.values.items():
            expect(value.shape == (batch,), f"value {name!r} has shape {tuple(value.shape)}, not {(batch,)}")
            expect(value.isfinite().all(), f"value {name!r} is not finite")
    groups = set(model.groups())
    named = set(losses_of(model.terms(examples_of())))
    expect(named == {""} or named == groups, f"losses {sorted(named)} do not match groups {sorted(groups)}")


@check_for(
    "objective", remedy="use every part of the model, and detach nothing that its own group has to move"
)
def check_objective_gradient(case: Case) -> None:
    """The gradient of the loss reaches every parameter of its group."""
    model = model_with(case)
    losses = losses_of(model.terms(examples_of()))
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
    model, x = model_with(case), examples_of()
    draws = _draws_itself(model, x)
    once = 64 if draws else 1

    def measured(copies: int) -> Tensor:
        terms = model.terms(x.repeat(once * copies, 1))
        whole = torch.stack(list(losses_of(terms).values())).sum()
        gradients = torch.autograd.grad(whole, list(model.parameters()), allow_unused=True)
        flat = [g.flatten() for g in gradients if g is not None]
        return torch.cat([terms.total.detach().reshape(1), whole.detach().reshape(1), *flat])

    first = _repeated(measured, 1, draws)
    for copies in (2, 8):
        again = _repeated(measured, copies, draws)
        for name, part in (("loss", slice(2)), ("gradient", slice(2, None))):
            _expect_alike(again, first, part, f"{name} of the batch {copies} times, and once")


def _draws_itself(model: LatentVariableModel, x: Tensor) -> bool:
    """Whether an objective draws more than latents, whose noise is shared: its numbers then agree on average alone."""
    first, second = ([terms.total, *losses_of(terms).values()] for terms in (model.terms(x), model.terms(x)))
    return not all(map(torch.equal, first, second))


def _repeated(measure: Callable[[int], Tensor], copies: int, draws: bool) -> tuple[Tensor, Tensor]:
    """What is measured, and its standard error, which is zero where nothing is drawn."""
    every = torch.stack([measure(copies) for _ in range(_AVERAGED if draws else 1)])
    return every.mean(0), every.std(0) / len(every) ** 0.5 if draws else torch.zeros_like(every[0])


def _expect_alike(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], part: slice, what: str) -> None:
    (first, first_error), (second, second_error) = ((mean[part], error[part]) for mean, error in (a, b))
    error = (first_error**2 + second_error**2).sqrt()
    if error.any():
        off = (first - second).abs() - reach(_SIGMAS, _AVERAGED - 1) * error - 1e-7 * second.abs() - 1e-9
        worst = int(off.argmax())
        shown = f"{first[worst]:.5g} and {second[worst]:.5g} ± {error[worst]:.2g}"
        expect(off[worst] <= 0, f"{what}, on average: {shown} where they differ most")
    else:
        expect_close(first, second, what)


@check_for("objective", remedy="compute each example's values from that example alone")
def check_objective_values(case: Case) -> None:
    """The values of an example do not depend on its neighbours."""
    model, x = model_with(case), examples_of()
    draws = _draws_itself(model, x)
    names = list(model.terms(x).values)
    if not names:
        raise NotApplicable("it reports no values")

    def measured(rows: int) -> Tensor:
        values = model.terms(x[:rows].repeat(64 if draws else 1, 1)).values
        return torch.stack([values[name].detach()[::rows].mean() for name in names])

    alone, within = (_repeated(measured, rows, draws) for rows in (1, len(x)))
    for i, name in enumerate(names):
        _expect_alike(
            alone, within, slice(i, i + 1), f"value {name!r} of an example alone, and within a batch"
        )


@check_for("objective", remedy="never look at self.training: what is watched must be what is minimised")
def check_train_and_evaluation(case: Case) -> None:
    """Training and evaluation use the same objective."""
    model, x = model_with(case), examples_of()
    found = []
    for mode in (True, False):
        reseed(5)
        found.append(model.train(mode).terms(x).total)
    expect_close(found[0], found[1], "loss in training mode, and in evaluation mode")


@check_for("objective", remedy="read schedules with float(self.name); the trainer alone advances them")
def check_schedules(case: Case) -> None:
    """Computing the loss moves no schedule."""
    model = model_with(case)
    schedules = {name: value for name, value in vars(model.objective).items() if isinstance(value, Schedule)}
    if not schedules:
        raise NotApplicable("it has no schedules")
    for schedule in schedules.values():
        schedule.advance(Clock(0, 10, 100))
    before = {name: float(copy.deepcopy(schedule)) for name, schedule in schedules.items()}
    for mode in (True, False):
        model.train(mode).terms(examples_of())
    for name, schedule in schedules.items():
        expect(float(schedule) == before[name], f"{name} moved from {before[name]:g} to {float(schedule):g}")


@check_for(
    "objective",
    remedy="report under the name of a bound, as elbo is, the bound itself: no weights, every constant, summed over dimensions",
)
@torch.no_grad()
def check_bound(case: Case) -> None:
    """A bound that it reports never exceeds the exact ``log p(x)``, and equals it where ``q`` is exact."""
    model, x, exact = _with_bound(case)
    for name, (bound, error) in _bounds(model, x).items():
        over = bound - exact - _SIGMAS * error
        expect(
            over.max() <= 1e-6,
            f"{name} {listed(bound)} ± {listed(error)} exceeds log p(x) = {listed(exact)}",
        )
    set_exact_posterior(model)
    for name, (tight, error) in _bounds(model, x).items():
        off = (tight - exact).abs() - _SIGMAS * error
        expect(
            off.max() <= 1e-5,
            f"where q is exact, {name} is {listed(tight)} ± {listed(error)}, log p(x) {listed(exact)}",
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
    model, x, exact = _with_bound(case, ("elbo",))
    few, most = min(made), max(made)
    bounds = []
    for samples in (few, most):
        model.objective = made[samples]
        bounds.append(_bounds(model, x)["elbo"])
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


def _with_bound(case: Case, names: tuple[str, ...] = BOUNDS) -> tuple[LatentVariableModel, Tensor, Tensor]:
    """A model whose objective reports a bound, examples, and their exact log-densities.

    Raises:
        NotApplicable: it reports none.
    """
    model, x = model_with(case, shared_noise=False), examples_of()
    if not model.terms(x).values.keys() & set(names):
        raise NotApplicable(f"it reports no bound named {' or '.join(names)}")
    return model, x, exact_log_density(model, x)


def _bounds(model: LatentVariableModel, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Name of each reported bound → its mean for each example and the standard error, each ``(B,)``."""
    values = model.terms(x.repeat(_REPEATS, 1)).values
    each = {name: values[name].reshape(_REPEATS, len(x)) for name in BOUNDS if name in values}
    return {name: (every.mean(0), every.std(0) / _REPEATS**0.5) for name, every in each.items()}
