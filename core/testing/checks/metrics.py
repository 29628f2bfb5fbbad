"""Laws for metrics, on small models, with and without densities, priors and labels."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import torch

from genmod.data.dataset import Batch, DataInfo, Factor, Split, TensorSplit
from genmod.defaults import AUTOENCODER, DATASET, RECIPE, SMALL
from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.metric import Metric
from genmod.evaluation.row import Row, Undefined
from genmod.evaluation.runner import measure
from genmod.evaluation.subject import Subject
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.model.latent_variable import LatentVariableModel
from genmod.spec import ModelSpec
from genmod.system.random import reseed, seeded
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
from genmod.testing.checks.modules import random_state_untouched
from genmod.testing.inputs import examples
from genmod.testing.reference import DATA, ReferenceNormals, reference_model

__all__ = ["defined", "numbers_of", "repeated", "subject_of"]

_COUNT = 40
_SIZES = (3, 4)
_PICTURES = DataInfo(
    (1, 8, 8),
    levels=17,
    classes=("a", "b", "c"),
    factors=tuple(Factor(f"f{i}", size) for i, size in enumerate(_SIZES)),
)


def _split(info: DataInfo, seed: int, count: int = _COUNT, *, balanced: bool = True) -> TensorSplit:
    generator = torch.Generator().manual_seed(seed)
    x = examples(info, count, generator)
    places = torch.arange(count)
    factors = torch.stack([places % size for size in _SIZES], 1)
    if not balanced:
        factors = factors[torch.randint(math.prod(_SIZES), (count,), generator=generator)]
    # The first values depend on the factors, and every combination of these occurs.
    x[:, 0] = (factors[:, :1] / 2).reshape(-1, *[1] * (x.dim() - 2))
    return TensorSplit(Batch(x, places % len(_PICTURES.classes), factors))


def _pictures(recipe: str = RECIPE) -> LatentVariableModel:
    spec = compose(recipe, components={"encoder": SMALL, "dataset": DATASET}, latent=2)
    return assemble(spec, _PICTURES)


def subject_of(
    make: Callable[[], LatentVariableModel], *, train: bool = True, count: int = _COUNT
) -> Subject:
    """A model with fixed weights and its data: splits of examples with classes and factors."""
    with seeded(3):
        model = make()
    info = DATA if model.data.shape == DATA.shape else _PICTURES
    training = _split(info, 1)
    return Subject(model.eval(), _split(info, 2, count), train=(lambda: training) if train else None, seed=5)


def _metric(case: Case) -> Metric:
    try:
        return case.build()  # type: ignore[no-any-return]
    except UsageError as error:
        raise NotApplicable(f"it cannot be built: {error.message}") from None


Make = Callable[[], LatentVariableModel]
_recent: dict[tuple[Any, ...], list[tuple[Make, Mapping[str, Row | Undefined]]]] = {}
"""Metric and options → the models for which it has numbers, and these, which several checks in a row use."""


def defined(case: Case) -> tuple[Metric, list[tuple[Make, Mapping[str, Row | Undefined]]]]:
    """The metric, and the models for which it has numbers: a linear one of tables, one of pictures that is not linear.

    Raises:
        NotApplicable: it has none of any.
    """
    metric, key = _metric(case), (case.source, repr(sorted(case.options.items())))
    if key not in _recent:
        _recent.clear()
        _recent[key] = [(make, numbers_of(metric, subject_of(make))) for make in (reference_model, _pictures)]
    made = [
        (make, found) for make, found in _recent[key] if any(isinstance(each, Row) for each in found.values())
    ]
    if not made:
        reasons = [e.reason for _, found in _recent[key] for e in found.values() if isinstance(e, Undefined)]
        raise NotApplicable(
            f"it has no number of the models that are tried: {'; '.join(dict.fromkeys(reasons))}"
        )
    return metric, made


def repeated(
    make: Callable[[], LatentVariableModel], count: int, times: int, *, data: bool
) -> Iterator[Subject]:
    """One model with other examples each time, and the same training data; or with the same examples and another seed.

    Args:
        make: the model.
        count: examples of each.
        times: how many there are.
        data: whether the examples differ too.
    """
    subject = subject_of(make)
    info = DATA if subject.model.data.shape == DATA.shape else _PICTURES
    training = subject.of("train")
    for i in range(times):
        split = _split(info, 100 + i * data, count, balanced=False)
        yield Subject(subject.model, split, train=lambda: training, seed=i)


def numbers_of(metric: Metric, subject: Subject) -> Mapping[str, Row | Undefined]:
    """What a metric says of a subject, by the name of each number."""
    result = measure({"the metric": metric}, subject)
    reasons = {name: Undefined(name, reason) for name, reason in result.undefined.items()}
    return {**{row.name: row for row in result.rows}, **reasons}


def _expect_right(found: Row | Undefined, n: int) -> None:
    """Check that a number is finite and has a definition, and that an undefined one has a reason."""
    if isinstance(found, Undefined):
        expect(found.reason.strip(), f"nothing says why there is no {found.name}")
        return
    expect(isinstance(found, Row), f"it yields a {type(found).__name__}, neither Row nor Undefined")
    name = found.name
    expect(
        math.isfinite(found.value), f"{name} is {found.value}: what is undefined is refused with the reason"
    )
    error = found.standard_error
    expect(math.isnan(error) or 0 <= error < math.inf, f"the standard error of {name} is {error}")
    expect(found.definition.strip(), f"nothing says what {name} is: definition is empty")
    expect(found.n >= 1, f"{name} is of {found.n} examples")
    if found.examples is not None:
        each = found.examples
        expect(each.dtype == torch.float64 and each.device.type == "cpu", f"examples of {name}: {each.dtype}")
        expect(each.shape == (found.n,), f"{name} of {found.n} has numbers of {tuple(each.shape)} examples")
        expect(found.n <= n, f"{name} is of {found.n} examples, and the split has {n}")
        mean = each.mean().item()
        expect(
            math.isclose(mean, found.value, rel_tol=1e-9, abs_tol=1e-12), f"{name} is no mean of its examples"
        )
    try:
        json.dumps(found.to_json())
    except (TypeError, ValueError) as problem:
        expect(False, f"{name} cannot be written as JSON: {problem}")


@check_for(
    "metric", remedy="yield Row(name, value, standard_error, n, unit, definition), or mean_row(…)", once=True
)
def check_metric_rows(case: Case) -> None:
    """Every number is finite, has a name of its own, a definition and an error, and can be written as JSON."""
    metric, made = defined(case)
    for make, _ in made:
        subject = subject_of(make)
        with torch.no_grad():
            found = list(metric.measure(subject))
        names = [each.name for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        expect(not twice, f"two numbers are called {', '.join(twice)}")
        for each in found:
            _expect_right(each, len(subject.split))


@check_for(
    "metric",
    remedy="draw within subject.drawing(stream) or subject.batches(stream), never besides",
    once=True,
)
def check_metric_repeats(case: Case) -> None:
    """The same subject and seed give the same numbers, bit for bit, independent of earlier draws and measurements."""
    metric, made = defined(case)
    make, first = made[-1]
    reseed(99)
    subject = subject_of(make)
    with torch.no_grad():
        subject.codes("train")
        subject.generated(7)
    for when, measured in (("again", metric), ("by one that measured nothing before", _metric(case))):
        second = numbers_of(measured, subject)
        expect(list(first) == list(second), f"first there are {list(first)}, then {list(second)}")
        for name, each in first.items():
            again = second[name]
            if isinstance(each, Row) and isinstance(again, Row):
                same = (each.value, repr(each.standard_error)) == (again.value, repr(again.standard_error))
                expect(same, f"{name} is {each.value!r} first, and {again.value!r} when measured {when}")


@check_for("metric", remedy="work on copies, and draw within subject.drawing(stream)", once=True)
def check_metric_leaves(case: Case) -> None:
    """The model, its mode, its gradients, the data and the global random states do not change."""
    metric, made = defined(case)
    make, _ = made[-1]
    subject = subject_of(make)
    model, batch = subject.model, subject.split.__getitems__(range(_COUNT))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    data = batch.x.clone()
    asked = [parameter.requires_grad for parameter in model.parameters()]
    with random_state_untouched("measuring"), torch.no_grad():
        list(metric.measure(subject))
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    expect(not changed, f"it changed {', '.join(changed)} of the model")
    expect(not any(module.training for module in model.modules()), "it left the model in training mode")
    expect(all(p.grad is None for p in model.parameters()), "it left gradients in the model")
    expect([p.requires_grad for p in model.parameters()] == asked, "it left weights frozen, or thawed")
    expect(torch.equal(subject.split.__getitems__(range(_COUNT)).x, data), "it changed the data in place")


@check_for(
    "metric",
    remedy="raise UndefinedError(why), or yield Undefined(name, why), for what there is not",
    once=True,
)
def check_metric_undefined(case: Case) -> None:
    """Models without densities or prior, missing training data and few examples give numbers or reasons."""
    metric = _metric(case)
    kinds: dict[str, Callable[[], Subject]] = {
        "an autoencoder": lambda: subject_of(lambda: _pictures(AUTOENCODER)),
        "a model without training data": lambda: subject_of(_pictures, train=False),
        "a table": lambda: subject_of(reference_model),
        "a model without latents": lambda: subject_of(_without_latents),
        "one example": lambda: subject_of(_pictures, count=1),
        "data without classes and factors": _bare,
        "codes that are all the same": lambda: subject_of(_collapsed),
        "examples that are all the same": _same,
    }
    for what, make in kinds.items():
        subject = make()
        try:
            found = numbers_of(metric, subject)
        except UndefinedError as error:
            found = {"the metric": Undefined("the metric", error.message)}
        except Exception as error:
            expect(False, f"of {what} it raises {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        expect(found, f"of {what} it says nothing, neither a number nor why there is none")
        for each in found.values():
            _expect_right(each, len(subject.split))


@torch.no_grad()
def _collapsed() -> LatentVariableModel:
    """A model whose codes do not depend on the example."""
    model = _pictures()
    for parameter in model.encoder.parameters():
        parameter.zero_()
    return model


def _same() -> Subject:
    subject = subject_of(_pictures)
    batch = subject.split.__getitems__([0] * _COUNT)
    training = subject.of("train")
    return Subject(subject.model, TensorSplit(batch), train=lambda: training, seed=5)


def _without_latents() -> LatentVariableModel:
    return cast(LatentVariableModel, ReferenceNormals(ModelSpec(), _PICTURES))


def _bare() -> Subject:
    def without(split: Split) -> TensorSplit:
        return TensorSplit(Batch(split.__getitems__(range(len(split))).x))

    def make() -> LatentVariableModel:
        model = _pictures()
        model.data = replace(_PICTURES, classes=(), factors=())
        return model

    subject = subject_of(make)
    training = without(subject.of("train"))
    return Subject(subject.model, without(subject.split), train=lambda: training, seed=5)
