"""Laws for what depends on the whole batch: by simulation over batches, and over processes that share one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.distributions.normal import diagonal_normal
from genmod.errors import UsageError
from genmod.interfaces.divergence import Divergence
from genmod.testing.case import Case, NotApplicable, whole
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.objectives import examples_of, losses_of, model_with
from genmod.testing.inputs import jostle
from genmod.testing.processes import Deadlock, in_processes
from genmod.training.shared_noise import SharedNoise, Unrehearsed

__all__: list[str] = []

_LATENTS, _FAR = 2, 3.0
_SMALL, _LARGE = 16, 64
"""Examples of batches that are looked at: what is zero but for the error of a finite batch falls with their number."""
_MEANING = {
    "equal": "every q is the prior",
    "shifted": "every q is shifted",
    "wide": "the codes are spread out",
    "dependent": "the latents of a code depend on each other",
}
_REPEATS, _SIGMAS = 30, 5.0
_PROCESSES, _SHARE, _APART = 2, 4, 20.0


@check_for(
    "divergence",
    remedy="measure how far the codes of the batch are from the prior: 0 where they are its draws, more where they are far",
)
@torch.no_grad()
def check_batch_divergence(case: Case) -> None:
    """One of the whole batch is near zero where every ``q`` is ``p``, never negative, and larger where ``q`` is far off."""
    part: Divergence = case.build().double().eval()
    if part.batch_statistics == "none":
        raise NotApplicable("it declares batch_statistics = 'none'")
    p = _normals(torch.zeros(_LATENTS), 1.0)
    try:
        part.check(_normals(torch.zeros(_SMALL, _LATENTS), 1.0), p)
    except UsageError as refusal:
        raise NotApplicable(f"it refuses normals: {refusal.message}") from None
    values = {name: _expected(part, name, p, _SMALL) for name in _MEANING}
    for name, (mean, error) in values.items():
        expect(
            mean >= -_SIGMAS * error - 1e-6,
            f"its mean is {mean:.4g} ± {error:.2g}, below 0, where {_MEANING[name]}",
        )
    least, spread = values["equal"]
    name, (most, error) = max(values.items(), key=lambda each: each[1][0])
    expect(
        most - least > _SIGMAS * (error**2 + spread**2) ** 0.5,
        f"its mean is {least:.4g} ± {spread:.2g} where {_MEANING['equal']}, and at most {most:.4g} ± {error:.2g}, where "
        f"{_MEANING[name]}",
    )
    if part.zero_at_prior:
        large, error = _expected(part, "equal", p, _LARGE)
        expect(
            abs(large) <= 0.5 * abs(least) + _SIGMAS * (error + spread) + 1e-6,
            f"where every q is the prior its mean is {least:.4g} ± {spread:.2g} for batches of {_SMALL}, and "
            f"{large:.4g} ± {error:.2g} for {_LARGE}: it does not fall towards 0",
        )


def _normals(loc: Tensor, scale: float) -> Distribution:
    loc = loc.double()
    return diagonal_normal(loc, torch.full_like(loc, scale).log(), 1)


def _expected(part: Divergence, how: str, p: Distribution, batch: int) -> tuple[float, float]:
    """Mean of the divergence over batches of codes, and its standard error."""
    found = []
    for _ in range(_REPEATS):
        noise = torch.randn(batch, _LATENTS)
        match how:
            case "equal":
                q = _normals(torch.zeros(batch, _LATENTS), 1.0)
            case "shifted":
                q = _normals(torch.full((batch, _LATENTS), _FAR), 1.0)
            case "wide":
                q = _normals(_FAR * noise, 1.0)
            case _:
                q = _normals(_FAR * noise[:, :1].expand_as(noise), 0.3)
        found.append(part(q, p, q.sample((1,))).mean())
    values = torch.stack(found)
    return float(values.mean()), float(values.std()) / _REPEATS**0.5


@check_for(
    "divergence",
    "objective",
    remedy="use genmod.system.batch_mean(x) for x.mean(0) and gather_batch(x) for x, or declare batch_statistics = 'local'; "
    "never seed random numbers",
)
def check_processes(case: Case) -> None:
    """Two processes that share a batch get the loss and the gradient of one that has all of it; simulated."""
    parts, parameters, compute = _shared(case)
    count = _PROCESSES * _SHARE
    alone = in_processes(1, lambda rank: compute(slice(count)))[0]

    def share(rank: int) -> list[Tensor]:
        rows = slice(rank * _SHARE, (rank + 1) * _SHARE)
        noise = SharedNoise(rows, count, torch.device("cpu"))
        state = torch.get_rng_state()
        # From one line, because random operations are known by the lines on the way to them.
        for context in (noise.rehearsing(parts), noise):
            torch.set_rng_state(state)
            with context as trial:
                found = compute(slice(trial) if isinstance(trial, int) else rows)
        return found

    try:
        shares = in_processes(_PROCESSES, share)
    except Deadlock as error:
        raise CheckFailed(f"{error}") from None
    except Unrehearsed:
        raise CheckFailed(
            "its random operations change from one computation of a batch to the next, or it sets their state: processes "
            "cannot share them"
        ) from None
    for what, one, *each in zip(parameters, alone, *shares, strict=True):
        together = torch.stack(each).mean(0)
        off = (together - one).abs() - 1e-6 * one.abs() - 1e-9
        worst = int(off.argmax())
        expect(
            off.flatten()[worst] <= 0,
            f"{what} of {count} examples is {one.flatten()[worst]:.6g} in one process, and {together.flatten()[worst]:.6g} "
            f"as the mean of {_PROCESSES} processes with {_SHARE} each",
        )


def _shared(case: Case) -> tuple[nn.Module, list[str], Any]:
    """What draws, what is computed, and a function that computes it of some examples."""
    count = _PROCESSES * _SHARE
    if case.kind == "objective":
        model, x = model_with(case, shared_noise=False), examples_of(count)
        _refuse_local(model.objective)
        # The shares differ, so that what is bent between their means is not the mean of both.
        x[_SHARE:] *= _APART
        posterior: Any = model.posterior
        torch.nn.init.zeros_(posterior.log_scale.weight)
        names, tensors = zip(*model.eval().named_parameters(), strict=True)

        def of_model(rows: slice) -> list[Tensor]:
            losses = losses_of(model.terms(x[rows]))
            total = torch.stack(list(losses.values())).sum()
            found = torch.autograd.grad(total, tensors, allow_unused=True)
            return [total.detach(), *(torch.zeros(1) if g is None else g for g in found)]

        return model, ["the loss", *(f"the gradient of {name}" for name in names)], of_model
    part = case.build().double().eval()
    _refuse_local(part)
    q_of, p_of = next(case.pairs(part))
    jostle(part)
    for each in (q_of, p_of):
        whole(each).double().eval()
    features = torch.randn(count, 7, dtype=torch.float64)
    weight = torch.ones(7, dtype=torch.float64, requires_grad=True)

    def of_divergence(rows: slice) -> list[Tensor]:
        q = q_of(features[rows] * weight)
        value = part(q, p_of(), q.rsample((2,))).mean()
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value, weight, allow_unused=True)
        return [value.detach(), torch.zeros(7) if gradient is None else gradient]

    return nn.ModuleList([q_of, part]), ["the value", "the gradient"], of_divergence


def _refuse_local(part: Any) -> None:
    if getattr(part, "batch_statistics", "none") == "local":
        raise NotApplicable("it declares batch_statistics = 'local'")
