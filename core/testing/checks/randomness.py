"""Laws for random numbers: draws differ, repeat under the same seed, and are independent of each other."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genmod.system.random import reseed
from genmod.testing.case import Case, NotApplicable, whole
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.objectives import examples_of, model_with
from genmod.testing.fits import fitted
from genmod.testing.inputs import examples, jostle, tiny_infos

__all__: list[str] = []

_FEW = 8
"""Draws that are compared number by number."""
_MANY, _SIGMAS = 2000, 5.0
"""Draws whose correlations are looked at, and how many standard errors these may be from zero."""
_DISTINCT = 4
"""Different numbers that must be the same again to be told from chance."""
_SEEDS = (3, 4)

_Found = dict[bytes, tuple[str, Tensor]]
"""Random numbers by their bytes, with the operation that made them."""


@dataclass(frozen=True)
class _Asked:
    """Something that may draw.

    Args:
        what: what it does, for messages.
        call: does it.
        draws: whether the answer are draws, ``(_FEW, …)``.
    """

    what: str
    call: Callable[[], Tensor]
    draws: bool = False


@check_for(
    *("encoder", "posterior", "prior", "decoder", "network", "divergence", "objective", "sampler", "model"),
    remedy="draw from torch's global generator and never seed it; keep numbers that are to stay the same in a buffer",
)
def check_randomness(case: Case) -> None:
    """Two draws in succession differ, the same seed repeats them, and nothing seeds a generator while drawing."""
    part, asked = _asked(case)
    state = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    kept = random.getstate(), np.random.get_state()
    try:
        # Encoders and networks draw in training alone, see check_random_state.
        for mode in (True,) if case.kind in ("encoder", "network") else (True, False):
            part.train(mode)
            for each in asked:
                _expect_fresh(each, lambda: _restore(part, state))
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def _expect_fresh(asked: _Asked, restore: Callable[[], Any]) -> None:
    answers: list[Tensor] = []
    states: list[tuple[bytes, ...]] = []
    found: list[_Found] = []
    for seed, times in zip(_SEEDS, (2, 1), strict=True):
        restore()
        for reset in (reseed, np.random.seed, random.seed):
            reset(seed)
        for i in range(times):
            with _watched() as made:
                answer = asked.call()
            if asked.draws and not bool((answer == answer[:1]).all()):
                _keep(made, "the answer", answer)
            found.append(made)
            if i == 0:
                states.append(_states())
                answers.append(answer)
    again = next((made for key, made in found[1].items() if key in found[0]), None)
    if again is not None:
        shown = ", ".join(f"{x:.4g}" for x in again[1].flatten()[:3].tolist())
        raise CheckFailed(
            f"{asked.what} twice in succession draws the same numbers: {again[0]} is {shown}, …"
        )
    for name, one, other in zip(("torch", "NumPy", "Python"), *states, strict=True):
        expect(
            one != other,
            f"{asked.what} seeds the global generator of {name}: after two seeds it is in one state",
        )
    restore()
    reseed(_SEEDS[0])
    repeated = asked.call()
    same = torch.equal(repeated.nan_to_num(), answers[0].nan_to_num())
    first, then = (f"{x.flatten()[0].item():.6g}" for x in (answers[0], repeated))
    expect(same, f"{asked.what} with the same seed of torch gives {first}, and then {then}")


def _restore(part: nn.Module, state: dict[str, Tensor]) -> None:
    if any(not torch.equal(tensor, state[name]) for name, tensor in part.state_dict().items()):
        part.load_state_dict(state)


def _states() -> tuple[bytes, ...]:
    _, keys, *place = np.random.get_state()
    numpy = np.asarray(keys).tobytes() + repr(place).encode()
    return torch.get_rng_state().numpy().tobytes(), numpy, repr(random.getstate()).encode()


def _keep(found: _Found, name: str, made: Any) -> None:
    # Of masks and of whole numbers, some are the same by chance.
    if isinstance(made, Tensor) and made.is_floating_point():
        numbers = made.detach().double().clone()
        if len(numbers.unique()) >= _DISTINCT:
            found[numbers.numpy().tobytes()] = (name, numbers)


@contextmanager
def _watched() -> Iterator[_Found]:
    """What random operations of torch make inside."""
    found: _Found = {}
    with _Watch(found):
        yield found


class _Watch(TorchDispatchMode):
    def __init__(self, found: _Found) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in function.tags:
            return function(*args, **kwargs)
        before = torch.get_rng_state()
        made = function(*args, **kwargs)
        # Some may draw and do not: attention without dropout.
        if kwargs.get("generator") is not None or not torch.equal(before, torch.get_rng_state()):
            for each in tree_leaves(made):
                _keep(self.found, str(function._schema.name).rpartition("::")[2], each)
        return made


def _asked(case: Case) -> tuple[nn.Module, list[_Asked]]:
    """What draws, and ways to ask it to."""
    match case.kind:
        case "objective":
            model, x = model_with(case, shared_noise=False), examples_of()
            return model, [_Asked("computing the loss", lambda: model.terms(x).total.detach())]
        case "model":
            made, (_, info) = next(case.accepted())
            jostle(made)
            x = made.observe(examples(info, 3))
            return made, [
                _Asked("computing the loss", lambda: made.terms(x).total.detach()),
                _Asked("sampling", lambda: made.sample(_FEW, noise=True), draws=True),
            ]
        case "sampler":
            made = fitted(case, (2,), 100)
            return made, [_Asked("sampling", lambda: made().sample((_FEW,)), draws=True)]
    trial = case.trial()
    part: Any = trial.part
    given = () if case.kind == "prior" else trial.inputs[:1]
    match case.kind:
        case "encoder" | "network":
            return part, [_Asked("computing it", lambda: part(*given).detach())]
        case "divergence":
            q, p, z = trial.companions[0](*given), trial.companions[1](), trial.inputs[1].movedim(0, 1)
            return part, [_Asked("computing it", lambda: part(q, p, z).detach())]
    ways = ("rsample", "sample") if case.kind == "posterior" else ("sample",)
    return whole(part), [
        _Asked(way, lambda way=way: getattr(part(*given), way)((_FEW,)).detach() + 0, draws=True)  # type: ignore[misc]
        for way in ways
    ]


@check_for(
    "posterior",
    "prior",
    "decoder",
    remedy="draw noise of the whole shape, self._extended_shape(sample_shape): one number for each value of each example",
)
@torch.no_grad()
def check_independent_draws(case: Case) -> None:
    """Draws are independent of each other, and those of two examples are."""
    checked = False
    for part, given, where in _distributions(case):
        draws = part(*given).sample((_MANY,)).double()
        draws = draws.reshape(_MANY, 2 if given else 1, -1)
        if not draws.std(0).any():
            continue
        checked = True
        half = _MANY // 2
        pairs = {
            "a draw and the next": (draws[:-1], draws[1:]),
            "draws of the first half and of the second": (draws[:half], draws[half:]),
        }
        if given:
            pairs["draws of two examples"] = (draws[:, 0], draws[:, 1])
        for what, (a, b) in pairs.items():
            worst = _correlation(a.reshape(len(a), -1), b.reshape(len(b), -1))
            expect(
                worst <= _SIGMAS / len(a) ** 0.5,
                f"{where}: {what} are correlated by {worst:.3f}; of {len(a):,} independent ones it is at most "
                f"{_SIGMAS / len(a) ** 0.5:.3f}",
            )
    if not checked:
        raise NotApplicable("all of its draws are one point")


def _correlation(a: Tensor, b: Tensor) -> float:
    """The largest correlation of a column of ``a`` with the same column of ``b``, ``(n, D)`` each; far draws count as near."""
    scores = []
    for x in (a, b):
        low, high = x.quantile(torch.tensor([0.02, 0.98], dtype=x.dtype), dim=0)
        x = x.clamp(low, high)
        scores.append((x - x.mean(0)) / x.std(0).clamp(min=1e-12))
    return float((scores[0] * scores[1]).mean(0).abs().max())


def _distributions(case: Case) -> Iterator[tuple[Any, tuple[Tensor, ...], str]]:
    """A part that makes a distribution, what it is given of two examples, and what it was made for."""
    spreads = {"posterior": ([(7,)], [(2,), (1,)]), "prior": ([(2,), (1,)],), "decoder": (tiny_infos(2),)}
    part, wiring = next(case.accepted(*spreads[case.kind]))
    if case.kind == "prior" and not part.has_density:
        raise NotApplicable("it declares has_density = False")
    jostle(part)
    whole(part).double().eval()
    shape = {"posterior": (2, 7), "decoder": (2, *getattr(part, "parameter_shape", ()))}.get(case.kind)
    given = () if shape is None else (torch.randn(shape, dtype=torch.float64),)
    what = "data" if case.kind == "decoder" else "latents"
    yield part, given, f"{what} {(part.data.shape if case.kind == 'decoder' else wiring[-1])}"
