"""Whole models: their loss, their density, what they generate, and their state."""

import copy
from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo, Factor
from genmod.errors import UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.objective import Terms
from genmod.interfaces.part import Part
from genmod.spec import ModelSpec
from genmod.system.random import reseed, seeded
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect, expect_close, expect_gradient, listed
from genmod.testing.checks.modules import random_state_untouched
from genmod.testing.inputs import examples, jostle

__all__ = ["prepared"]

_BATCH = 4


def prepared(case: Case, *, jostled: bool = True) -> GenerativeModel:
    """The model of the first data that it accepts, prepared with some of these."""
    model: GenerativeModel = next(case.accepted())[0]
    for part in model.modules():
        if isinstance(part, Part) and part.examples_wanted:
            part.prepare(_x(model, 16))
    if jostled:
        jostle(model)
    return model


def _x(model: GenerativeModel, batch: int = _BATCH) -> Tensor:
    return examples(model.data, batch, torch.Generator().manual_seed(1))


def _scored(model: GenerativeModel, x: Tensor, **given: Any) -> Tensor:
    """``log_weights`` of observations, ``(B,)``, with the same random numbers each time."""
    if model.observations is None:
        raise NotApplicable("it has no density")
    with seeded(2):
        return model.log_weights(x, 1, **given)[0]


@check_for("model", remedy="return Terms(loss, values): a loss of shape (), and values of shape (B,)")
def check_model_terms(case: Case) -> None:
    """Its loss is one finite number, its values are finite numbers of each example."""
    for model, (_, data) in case.accepted():
        for batch in (_BATCH, 1):
            terms = model.terms(examples(data, batch))
            expect(isinstance(terms, Terms), f"terms are a {type(terms).__name__}")
            losses = {"": terms.loss} if isinstance(terms.loss, Tensor) else terms.loss
            for name, loss in losses.items():
                expect(loss.shape == (), f"the loss {name} has shape {tuple(loss.shape)}")
                expect(loss.isfinite(), f"of data {data.shape} the loss {name} is {loss.item()}")
            expect(
                set(losses) <= {"", *model.groups()}, f"losses {sorted(losses)} have no groups of their names"
            )
            for name, value in terms.values.items():
                expect(
                    value.shape == (batch,), f"value {name!r} has shape {tuple(value.shape)}, not {(batch,)}"
                )
                expect(value.isfinite().all(), f"value {name!r} is not finite")


@check_for(
    "model", remedy="use every parameter in the loss, and neither detach() nor .data nor no_grad() on the way"
)
def check_model_gradient(case: Case) -> None:
    """A gradient, finite and not zero, reaches every parameter, and every parameter is in a group."""
    model = prepared(case).train()
    loss = model.terms(_x(model)).loss
    (loss if isinstance(loss, Tensor) else torch.stack(list(loss.values())).sum()).backward()
    grouped = {id(parameter) for group in model.groups().values() for parameter in group}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            expect_gradient(parameter.grad, name)
            expect(id(parameter) in grouped, f"{name} is in no group")


@check_for("model", remedy="take the mean over examples for the loss; score each example by itself")
def check_model_batch(case: Case) -> None:
    """What an example scores does not depend on the others, nor its loss on their number."""
    model = prepared(case).double().eval()
    with seeded(3):
        x = model.observe(_x(model))
    try:
        whole = _scored(model, x)
    except NotApplicable:
        with seeded(3):
            one = model.terms(_x(model, 1)).total
        with seeded(3):
            again = model.terms(_x(model, 1)).total
        expect_close(
            again, one, "the loss of one example differs from one call to the next with the same seed"
        )
        return
    if model.exact:
        parts = torch.cat([_scored(model, x[i : i + 1]) for i in range(len(x))])
        expect_close(parts, whole, "log p(x) of single examples and of a batch", rtol=1e-6, atol=1e-6)
    more = _scored(model, torch.cat([x[:1], x[1:].flip(0)]))
    expect_close(
        more[:1],
        whole[:1],
        "log p(x) of the first example, the others in another order",
        rtol=1e-6,
        atol=1e-6,
    )


@check_for(
    "model",
    remedy="return (samples, B) log-weights, all the same where exact is true; take the precision of x",
)
def check_model_weights(case: Case) -> None:
    """Its log-weights have the shape that was asked for, in the precision of the model, and are not above the truth."""
    for dtype in (torch.float32, torch.float64):
        model = prepared(case).to(dtype).eval()
        x = model.observe(_x(model))
        expect(x.dtype == dtype, f"a model of {dtype} observes {x.dtype}")
        _scored(model, x)
        for samples in (1, 3):
            found = model.log_weights(x, samples)
            expect(
                found.shape == (samples, _BATCH), f"log-weights of {samples} have shape {tuple(found.shape)}"
            )
            expect(found.dtype == dtype, f"a model of {dtype} has log-weights of {found.dtype}")
            expect(not model.exact or (found == found[0]).all(), "it is exact, and its log-weights differ")
            discrete = model.observations is not None and model.observations.support.is_discrete
            expect(not (discrete and model.exact) or (found <= 1e-6).all(), "a probability is above 1")


@check_for(
    "model", remedy="draw from the global random state in draws(), and return values of the data's range"
)
def check_model_samples(case: Case) -> None:
    """Samples have the shape and the range of the data; the same seed gives the same, another seed others."""
    # Of the first data alone: pictures of usual sizes may take long.
    model, (_, data) = next(case.accepted())
    with random_state_untouched("sampling with a seed"):
        for noise in (False, True):
            made = model.eval().sample(3, seed=1, noise=noise)
            expect(
                made.shape == (3, *data.shape),
                f"3 samples of data {data.shape} have shape {tuple(made.shape)}",
            )
            expect(made.is_floating_point() and made.isfinite().all(), "samples are not finite")
            expect(
                torch.equal(made, model.sample(3, seed=1, noise=noise)),
                "the same seed gives other samples",
            )
            expect(
                not torch.equal(made, model.sample(3, seed=2, noise=noise)),
                "another seed gives the same samples",
            )
            expect(not made.requires_grad, "samples carry a gradient")
        plain = model.sample(3, seed=1)
        inside = (plain >= data.low - 1e-5) & (plain <= data.high + 1e-5)
        expect(
            inside.all(),
            f"samples range to {plain.abs().max().item():.4g}, the data from {data.low} to {data.high}",
        )


@check_for("model", remedy="register what is trained or counted as parameters and buffers", once=True)
def check_model_state(case: Case) -> None:
    """A state restored into another model, and a copy, sample and score bit for bit as it does."""
    model = prepared(case).eval()
    reseed(99)
    other = next(case.accepted())[0].eval()
    other.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()})
    x = _x(model)
    for what, each in {"restored": other, "copied": copy.deepcopy(model)}.items():
        expect(
            torch.equal(each.sample(3, seed=1), model.sample(3, seed=1)),
            f"what is {what} samples differently",
        )
        with seeded(4):
            mine = model.terms(x).total
        with seeded(4):
            there = each.terms(x).total
        expect(
            torch.equal(mine, there), f"the loss of what is {what} differs: {there.item()} and {mine.item()}"
        )


@check_for("model", remedy="make layers on the default device in the constructor", once=True)
def check_model_device(case: Case) -> None:
    """It is built without memory, on torch's ``meta`` device."""
    with torch.device("meta"):
        model, _ = next(case.accepted())
    left = [name for name, t in [*model.named_parameters(), *model.named_buffers()] if not t.is_meta]
    expect(not left, f"built on another device, these stay on the CPU: {', '.join(left[:5])}")


@check_for(
    "model",
    remedy="use the context in terms, log_weights and draws, or leave takes_conditions False",
    once=True,
)
def check_model_conditions(case: Case) -> None:
    """A conditional model scores and samples by its condition; one that cannot be conditional refuses."""
    spec = ModelSpec(condition=("shape",))
    if not case.cls.takes_conditions:
        try:
            case.build(spec, DataInfo((1, 8, 8), levels=2, factors=(Factor("shape", 3),)))
        except UsageError:
            return
        expect(False, "it takes no conditions, and is built with one")
    infos = [
        DataInfo(info.shape, info.low, info.high, info.levels, factors=(Factor("shape", 3),))
        for info in _infos()
    ]
    model, _ = next(case.accepted([spec], infos))
    jostle(model)
    model.double().eval()
    x = _x(model).double()
    contexts = [model.asked(f"shape={i}", _BATCH) for i in range(2)]
    scores = (
        [model.terms(x, context).total for context in contexts]
        if model.observations is None
        else [_scored(model, x, context=context) for context in contexts]
    )
    expect(not torch.allclose(scores[0], scores[1]), "another condition changes no score")
    made = [model.sample(_BATCH, seed=1, condition=f"shape={i}", noise=True) for i in range(2)]
    expect(not torch.equal(made[0], made[1]), "another condition changes no sample")


def _infos() -> tuple[DataInfo, ...]:
    return (
        DataInfo((1, 8, 8), levels=2),
        DataInfo((5,), low=-torch.inf, high=torch.inf),
        DataInfo((1, 8, 8), levels=17),
        DataInfo((1, 8, 8)),
    )


@check_for("model", remedy="divide the loss by the number of examples, and no value of an example", once=True)
def check_model_mean(case: Case) -> None:
    """The loss is a mean over examples: of a batch and of the batch twice it is the same, but for what it draws."""
    model = prepared(case).eval()
    x = _x(model)
    once, twice = (_losses(model, given) for given in (x, torch.cat([x, x])))
    error = float((once.var(1) + twice.var(1)).max() / once.shape[1]) ** 0.5
    off = float((once.mean(1) - twice.mean(1)).abs().max())
    expect(
        off <= 5 * error + 1e-5 * (1 + float(once.abs().max())),
        f"the loss of {len(x)} examples is {listed(once.mean(1))}, of these twice {listed(twice.mean(1))}",
    )


@torch.no_grad()
def _losses(model: GenerativeModel, x: Tensor, times: int = 5) -> Tensor:
    """Each loss of a batch with several seeds, ``(losses, times)``."""
    found = []
    for seed in range(times):
        with seeded(seed):
            loss = model.terms(x).loss
        found.append(torch.stack([loss] if isinstance(loss, Tensor) else list(loss.values())))
    return torch.stack(found, 1)


@check_for("model", remedy="minimise the negative of what is scored: Terms(-log_prob.mean(), …)", once=True)
def check_model_descent(case: Case) -> None:
    """A step down its loss makes the examples of the batch likelier, where it has a density and one loss."""
    model = prepared(case).double()
    x = _x(model, 16)
    with seeded(3):
        loss, seen = model.terms(x).loss, model.observe(x)
    if not isinstance(loss, Tensor):
        raise NotApplicable("it has several losses")
    score = _scored(model, seen).mean()
    weights = [p for p in model.parameters() if p.requires_grad]
    down, up = (torch.autograd.grad(each, weights, allow_unused=True) for each in (loss, score))
    slope = sum(
        float((a * b).sum()) for a, b in zip(down, up, strict=True) if a is not None and b is not None
    )
    expect(
        slope < 0, f"along the gradient of the loss log p(x) changes by {slope:.4g} a step, and has to fall"
    )


@check_for(
    "model",
    remedy="draw nothing in evaluation mode but in draws, and change no tensor that is given",
    once=True,
)
def check_model_evaluation(case: Case) -> None:
    """In evaluation mode the same examples have the same score, with any seed where it is exact, and nothing changes."""
    model = prepared(case).eval()
    given = _x(model)
    kept, state = given.clone(), {name: t.clone() for name, t in model.state_dict().items()}
    with seeded(4):
        model.terms(given)
        x = model.observe(given)
    if model.observations is not None:
        seen = x.clone()
        first = _scored(model, x)
        with seeded(7):
            other = model.log_weights(x, 1)[0]
        expect(
            not model.exact or torch.equal(first, other),
            f"it is exact, and with another seed log p(x) differs by {(first - other).abs().max().item():.3g}",
        )
        expect(torch.equal(x, seen), "scoring observations changes them in place")
    expect(torch.equal(given, kept), "asking for its loss changes the examples in place")
    changed = [name for name, t in model.state_dict().items() if not torch.equal(t, state[name])]
    expect(not changed, f"asking it in evaluation mode changes {', '.join(changed[:3])}")
