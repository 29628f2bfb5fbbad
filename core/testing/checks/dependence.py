"""Laws for what an answer depends on: every number that is given, and nothing that bounds what it can be."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genmod.testing.case import Case, NotApplicable, Trial, whole
from genmod.testing.check import check_for, expect
from genmod.testing.inputs import jostle

__all__ = ["ignored"]

_MOST = 2000
"""Numbers of an example that are looked at one by one."""
_OUTPUTS = 100
_AT_ONCE = 256
_SLIGHT = 1e-12
_FAR, _BEYOND = 1e6, 1e3
_TRIES = 30


@torch.enable_grad()
def ignored(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Places in an example, ``(N,)`` of it flattened, that change nothing in the answer.

    First by the gradient, in every example; where there is none, by moving the number itself.

    Args:
        function: examples ``(B, …)`` → answers ``(B, …)``.
        x: examples, ``(B, …)``, double precision.

    Example:
        >>> ignored(lambda x: x[:, :2].square(), torch.ones(1, 3).double())
        tensor([2])
    """
    given = x.detach().clone().requires_grad_()
    answer = function(given)
    gradient = torch.zeros_like(x)
    if answer.requires_grad:
        total = (answer * torch.randn_like(answer)).sum()
        (found,) = torch.autograd.grad(total, given, allow_unused=True)
        gradient = gradient if found is None else found
    silent = (gradient == 0).flatten(1).all(0).nonzero().flatten()
    return torch.cat([_still(function, x[0], some) for some in silent.split(_AT_ONCE)])


@torch.no_grad()
def _still(function: Callable[[Tensor], Tensor], example: Tensor, places: Tensor) -> Tensor:
    for step in (1.0, -3.0, 30.0):
        if not len(places):
            break
        moved = example.flatten().repeat(len(places) + 1, 1)
        moved[torch.arange(len(places)), places] += step
        answers = function(moved.unflatten(1, example.shape)).flatten(1)
        off = (answers[:-1] - answers[-1]).abs()
        places = places[~(off > _SLIGHT * (1 + answers[-1].abs())).any(1)]
    return places


def _places(flat: Tensor, shape: tuple[int, ...]) -> str:
    """The first of some places of an example, for a message."""
    return str(tuple(int(i) for i in torch.unravel_index(flat[0], shape)))


def _small(case: Case) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The part, ready to be asked, for all shapes of few numbers that it accepts, or else for the first of any size."""
    first, *outs = case.spreads
    few = [shape for shape in first if math.prod(shape) <= _MOST]
    small = [[shape for shape in each if math.prod(shape) <= _OUTPUTS] for each in outs]
    try:
        made = list(case.accepted(few, *small))
    except NotApplicable:
        made = [next(case.accepted())]
    for part, wiring in made:
        jostle(part)
        yield part.double().eval(), wiring


def _numbers(case: Case, of: str) -> None:
    for part, wiring in _small(case):
        x = torch.randn(2, *wiring[0], dtype=torch.float64)
        flat = ignored(part, x)
        expect(
            not len(flat),
            f"built for {wiring}, {len(flat)} of {x[0].numel()} {of} change nothing in its answer, the first "
            f"at {_places(flat, tuple(wiring[0])) if len(flat) else ''}",
        )


@check_for(
    "encoder",
    remedy="use every row and column, also what a stride or a patch leaves over: pad it, or refuse such shapes",
    once=True,
)
def check_every_value(case: Case) -> None:
    """Every number of an example changes the features."""
    _numbers(case, "numbers of an example")


@check_for(
    "network", remedy="use every latent, and compute every parameter from them or from a weight", once=True
)
def check_every_latent(case: Case) -> None:
    """Every latent changes the output, and every number of it depends on latents or weights."""
    _numbers(case, "latents")
    part, wiring = next(case.accepted())
    jostle(part)
    made = part.eval()(3 * torch.randn(8, *wiring[0]))
    fixed = (made == made[0]).all(0)
    if not fixed.any():
        return
    weights = [p for p in part.parameters() if p.requires_grad]
    value = float(made.detach()[0][fixed].flatten()[0])
    where = f"{int(fixed.sum())} of {fixed.numel()} parameters are {value:.4g} for all latents"
    total = (made * torch.randn_like(made))[:, fixed].sum()
    expect(weights and total.requires_grad, f"{where}, and of no weight")
    found = torch.autograd.grad(total, weights, allow_unused=True)
    expect(any(g is not None and bool(g.any()) for g in found), f"{where}, and no weight changes them")


@check_for(
    "posterior",
    "decoder",
    remedy="use every number that is given: take the sizes from feature_shape, declare the parameter_shape that is used",
)
def check_every_parameter(case: Case) -> None:
    """Every feature, or parameter, changes the distribution."""
    trial = case.trial(2)
    trial = Trial(trial.kind, trial.part, trial.converted(Tensor.double), trial.companions)
    whole(trial.part).double().eval()

    def answers(x: Tensor) -> Tensor:
        others = (each[:1].expand(len(x), *each.shape[1:]) for each in trial.inputs[1:])
        return torch.cat([a.flatten(1) if a.dim() > 1 else a[:, None] for a in trial(inputs=(x, *others))], 1)

    x = trial.inputs[0]
    if x[0].numel() > _MOST:
        raise NotApplicable(f"an example has {x[0].numel()} numbers")
    flat = ignored(answers, x)
    expect(
        not len(flat),
        f"{len(flat)} of {x[0].numel()} numbers change neither mean nor log-density, the first at "
        f"{_places(flat, tuple(x.shape[1:])) if len(flat) else ''}",
    )


@check_for(
    "posterior",
    "decoder",
    "network",
    remedy="detach nothing that is given: what is below learns through it",
)
def check_input_gradient(case: Case) -> None:
    """A gradient, finite and not zero, reaches what it is given, in every example: the parts below learn by it."""
    trial = case.trial()
    reached = torch.zeros(len(trial.inputs[0]), dtype=torch.bool)
    # What ReLU leaves of one example may be nothing: at its place, others are asked too.
    for turn in range(len(reached)):
        x = trial.inputs[0].roll(turn, 0).requires_grad_()
        gradient = _input_gradient(trial, x)
        for i in range(len(x)):
            expect(
                gradient is None or bool(gradient[i].isfinite().all()),
                "the gradient of what it is given is not finite",
            )
            reached[i] |= gradient is not None and bool(gradient[i].any())
        if reached.all():
            return
    where = f"example {int((~reached).nonzero()[0])} of what" if reached.any() else "what"
    expect(False, f"no gradient reaches {where} it is given")


def _input_gradient(trial: Trial, x: Tensor) -> Tensor | None:
    """The gradient of a random sum of all answers by what the part is given."""
    answers = list(trial(inputs=(x, *trial.inputs[1:])))
    if trial.kind == "posterior":
        answers.append(trial.part(x).rsample())
    answers = [answer for answer in answers if answer.requires_grad]
    expect(answers, "its answer carries no gradient at all")
    total = torch.stack([(answer * torch.randn_like(answer)).sum() for answer in answers]).sum()
    (gradient,) = torch.autograd.grad(total, x, allow_unused=True)
    return gradient


@check_for(
    "network",
    remedy="end without tanh, sigmoid, ReLU or clamp: the decoder bounds what has bounds; or declare output_range",
)
@torch.no_grad()
def check_output_range(case: Case) -> None:
    """For some weights each of its outputs is beyond every bound, up and down, but for those of ``output_range``."""
    part, wiring = next(case.accepted())
    jostle(part)
    part.double().eval()
    z = torch.randn(4, *wiring[0], dtype=torch.float64)
    made = part(z)
    low, high = made.amin(0), made.amax(0)
    for moved in _moved(part, z):
        low, high = torch.minimum(low, moved.amin(0)), torch.maximum(high, moved.amax(0))
        if (low < -_BEYOND).all() and (high > _BEYOND).all():
            break
    declared = part.output_range
    inside = bool((low >= declared[0]).all() and (high <= declared[1]).all())
    where = f"its outputs range from {float(low.min()):.4g} to {float(high.max()):.4g}"
    expect(inside, f"{where}, and {declared} is declared")
    for reached, bound, what in ((-low, -declared[0], "below"), (high, declared[1], "above")):
        bounded = float((reached <= _BEYOND).double().mean())
        expect(
            bound < math.inf or not bounded,
            f"{where} for weights and latents of a million: {bounded:.0%} of them are bounded {what}",
        )


def _moved(part: nn.Module, z: Tensor) -> Iterator[Tensor]:
    """Outputs for very large weights, the last layer first, and for very large latents."""
    for parameter in reversed(list(part.parameters())):
        kept, push = parameter.clone(), _FAR * torch.randn_like(parameter).sign()
        for sign in (1, -1):
            parameter.copy_(kept + sign * push)
            yield part(z).nan_to_num(0.0)
        parameter.copy_(kept)
    for far in (_FAR, -_FAR):
        yield part(far * z).nan_to_num(0.0)
    # Several at once: a bound that is learned has to give way before what it bounds can go beyond it.
    weights = list(part.parameters())
    kept_all = [parameter.clone() for parameter in weights]
    for _ in range(_TRIES):
        for parameter, kept in zip(weights, kept_all, strict=True):
            signs = torch.randn_like(parameter).sign()
            pushes = (0 * signs, torch.ones_like(signs), -torch.ones_like(signs), signs)
            parameter.copy_(kept + _FAR * pushes[int(torch.randint(4, ()))])
        yield part(z).nan_to_num(0.0)
    for parameter, kept in zip(weights, kept_all, strict=True):
        parameter.copy_(kept)
