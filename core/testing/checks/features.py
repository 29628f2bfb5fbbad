"""Laws for features."""

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.interfaces.features import Features
from genmod.system.random import reseed, seeded
from genmod.testing.case import Case
from genmod.testing.check import check_for, expect, expect_close
from genmod.testing.checks.dependence import ignored
from genmod.testing.checks.modules import random_state_untouched
from genmod.testing.inputs import examples

__all__ = ["first_data", "fitted_to_data"]

_TRAIN = 40
_COUNT = 5


def _data(info: DataInfo, count: int, seed: int = 5) -> Tensor:
    return examples(info, count, torch.Generator().manual_seed(seed)).float()


def _labels(count: int) -> Tensor:
    return torch.arange(count) % 3


def fitted_to_data(case: Case, info: DataInfo, seed: int = 7) -> Features:
    """The features, built and fitted as an evaluation does it."""
    with seeded(seed):
        made: Features = case.build(info)
        if made.wants_fit:
            made.fit(_data(info, _TRAIN), _labels(_TRAIN), seed=seed)
    return made.eval().requires_grad_(False)


def first_data(case: Case) -> DataInfo:
    """The first data that the features accept."""
    _, (info,) = next(case.accepted())
    return info  # type: ignore[no-any-return]


@check_for(
    "features", remedy="return numbers for each example, x.flatten(1) for one, of one size D", once=True
)
def check_features_shape(case: Case) -> None:
    """One finite vector of one size for each example, of every shape and range of data that is accepted."""
    for _, (info,) in case.accepted():
        made = fitted_to_data(case, info)
        found = [made(_data(info, count)) for count in (_COUNT, 1)]
        for features, count in zip(found, (_COUNT, 1), strict=True):
            what = f"of {count} examples {info.shape}"
            expect(features.dim() == 2 and len(features) == count, f"{what} it makes {tuple(features.shape)}")
            expect(features.is_floating_point(), f"{what} it makes {features.dtype}, no floats")
            expect(features.isfinite().all(), f"{what} some features are not finite")
        expect(found[0].shape[1] == found[1].shape[1] > 0, "the number of features depends on the batch")


@check_for("features", remedy="take no statistics over the batch, and stay in evaluation mode", once=True)
def check_features_rows(case: Case) -> None:
    """The features of an example depend on that example, and not on the others of its batch."""
    info = first_data(case)
    made, x = fitted_to_data(case, info), _data(info, _COUNT)
    together = made(x)
    alone = torch.cat([made(each) for each in x.split(1)])
    scale = float(together.abs().max()) or 1.0
    expect_close(alone / scale, together / scale, "one by one, and together", rtol=0, atol=1e-4)
    expect((together[0] != together[1]).any(), "two examples have the same features")


@check_for(
    "features",
    remedy="begin fit() anew, with a generator or genmod.system.random.seeded of the seed given",
    once=True,
)
def check_features_fit(case: Case) -> None:
    """The same data and seed give the same features, bit for bit, and do not change data or random states."""
    info = first_data(case)
    first, x = fitted_to_data(case, info), _data(info, _TRAIN)
    with seeded(7):
        second: Features = case.build(info)
    if second.wants_fit:
        given = x.clone()
        reseed(99)
        second.fit(_data(info, _TRAIN, seed=6) / 2, _labels(_TRAIN), seed=3)
        with random_state_untouched("fitting them"):
            second.fit(given, _labels(_TRAIN), seed=7)
        expect(torch.equal(given, x), "fitting changed the examples in place")
    second.eval()
    points = _data(info, _COUNT, seed=8)
    expect(torch.equal(first(points), second(points)), "two fits to the same data with one seed differ")


@check_for("features", remedy="register all that is fitted or loaded as buffers or parameters", once=True)
def check_features_state(case: Case) -> None:
    """They depend on their state alone, whose checksum is reported with every score."""
    info = first_data(case)
    made = fitted_to_data(case, info)
    reseed(99)
    other: Features = case.build(info)
    if other.wants_fit:
        other.fit(_data(info, _TRAIN, seed=6) / 2, _labels(_TRAIN), seed=3)
    other.load_state_dict(made.state_dict())
    points = _data(info, _COUNT, seed=8)
    expect(torch.equal(made(points), other.eval()(points)), "two with the same state make different features")


@check_for(
    "features",
    remedy="draw nothing, and change no tensor that is given: x = x - mean, not x -= mean",
    once=True,
)
def check_features_asking(case: Case) -> None:
    """Asking for features draws nothing, changes neither examples nor state, and takes examples of the training again."""
    info = first_data(case)
    made, x = fitted_to_data(case, info), _data(info, _COUNT)
    given, state = x.clone(), {name: t.clone() for name, t in made.state_dict().items()}
    with random_state_untouched("asking for features"):
        first = made(x)
    expect(torch.equal(x, given), "asking for features changes the examples in place")
    changed = [name for name, t in made.state_dict().items() if not torch.equal(t, state[name])]
    expect(not changed, f"asking for features changes {', '.join(changed[:3])}")
    expect(torch.equal(made(x), first), "asked twice, they are other features")
    with torch.no_grad():
        expect(torch.equal(made(x), first), "with gradients and without they are other features")


@check_for("features", remedy="return maps (N, channels, *places) of each example from layers()", once=True)
def check_features_layers(case: Case) -> None:
    """The layers are finite maps of each example, which depend on that example alone."""
    info = first_data(case)
    made, x = fitted_to_data(case, info), _data(info, _COUNT)
    together, alone = made.layers(x), made.layers(x[:1])
    expect(bool(together), "it has no layers")
    expect(list(together) == list(alone), f"layers are {list(together)}, of one example {list(alone)}")
    for name, maps in together.items():
        expect(
            maps.dim() >= 2 and len(maps) == _COUNT,
            f"layer {name} of {_COUNT} examples has the shape {tuple(maps.shape)}",
        )
        expect(maps.isfinite().all(), f"some values of layer {name} are not finite")
        scale = float(maps.abs().max()) or 1.0
        expect_close(alone[name] / scale, maps[:1] / scale, f"layer {name} of one example", rtol=0, atol=1e-4)


@check_for(
    "features", remedy="look at every value of an example, or refuse such data by UsageError", once=True
)
def check_features_values(case: Case) -> None:
    """Every number of an example changes its features."""
    info = first_data(case)
    made = fitted_to_data(case, info).double()
    still = ignored(made, _data(info, 2).double())
    expect(
        not len(still),
        f"{len(still)} of {info.size} numbers of an example change nothing in its features",
    )
