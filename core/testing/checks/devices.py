"""Devices: what a component makes lies on the device of what it is given, also where that is not the default one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from genmod.testing.case import Case, NotApplicable, Trial
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks import features
from genmod.testing.checks._asking import around, losses
from genmod.testing.checks.modules import NETWORKS, moved
from genmod.testing.fits import fitted
from genmod.testing.inputs import examples

__all__ = ["Elsewhere"]

_EITHER = frozenset(
    {
        *("to", "copy_", "type_as", "tensor", "as_tensor", "new_tensor", "set_", "__set__", "__get__"),
        *("expand_as", "view_as", "reshape_as", "resize_as_", "is_same_size"),
        *("_has_compatible_shallow_copy_type", "__getitem__", "__setitem__", "index_put", "index_put_"),
    }
)
"""Functions of torch that take tensors of two devices: copies from one to the other, shapes, and indices from the CPU."""


class Elsewhere(TorchFunctionMode):
    """Inside, tensors on ``meta`` stand for those on a GPU: a function of them and of a tensor on the CPU fails.

    As on a GPU, single numbers may come from the CPU, and tensors may be copied from it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, Tensor)]
        name = getattr(func, "__name__", "")
        if len(tensors) > 1 and name not in _EITHER and any(each.is_meta for each in tensors):
            here = [each for each in tensors if not each.is_meta and each.dim() > 0]
            if here:
                raise CheckFailed(
                    f"{name} takes tensors of two devices: one is of the part or of what it is given, and one of shape "
                    f"{tuple(here[0].shape)} is on the CPU"
                )
        return func(*args, **(kwargs or {}))


@check_for(
    *NETWORKS,
    "divergence",
    *("objective", "critic", "model", "sampler", "features"),
    remedy="make tensors like given ones, x.new_zeros(…) or torch.zeros(…, device=x.device), and keep others in buffers",
    once=True,
)
def check_own_device(case: Case) -> None:
    """What it makes when it is asked lies on the device of what it is given, and not on torch's default device."""
    asked = False
    for ask in _asked(case):
        with Elsewhere(), _values_may_be_missing():
            for answer in ask():
                asked = True
                expect(
                    answer.is_meta,
                    f"given tensors of another device, its answer {tuple(answer.shape)} is on the CPU",
                )
    if not asked:
        raise NotApplicable("it looks at values, which the device of this check does not have")


@contextmanager
def _values_may_be_missing() -> Iterator[None]:
    """Leave when a value of a tensor without values is asked for; see check_device for the parts of a model."""
    validated = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return
    finally:
        Distribution.set_default_validate_args(validated)


Ask = Callable[[], Iterable[Tensor]]


def _asked(case: Case) -> Iterator[Ask]:
    """Functions of a component that was moved to ``meta``, one for each thing that it is asked."""
    if case.kind in (*NETWORKS, "divergence"):
        yield from _of_part(case)
    elif case.kind == "sampler":
        made: Any = moved(fitted(case, (2,), 64), "meta")
        yield lambda: [made().sample((3,))]
        if made.has_density:
            yield lambda: [made().log_prob(torch.zeros(3, 2, dtype=torch.float64, device="meta"))]
    elif case.kind == "features":
        info = features.first_data(case)
        features_of: Any = moved(features.fitted_to_data(case, info), "meta")
        x = examples(info, 3).to("meta")
        yield lambda: [features_of(x)]
        yield lambda: list(features_of.layers(x).values())
    else:
        yield from _of_model(case)


def _of_part(case: Case) -> Iterator[Ask]:
    trial = case.trial()
    companions = tuple(moved(each, "meta") for each in trial.companions)
    there = Trial(trial.kind, moved(trial.part, "meta"), trial.converted(lambda x: x.to("meta")), companions)
    yield there
    part: Any = there.part
    match case.kind:
        case "posterior":
            yield lambda: [part(there.inputs[0]).rsample((2,))]
        case "decoder":
            yield lambda: [part(there.inputs[0]).sample((2,))]
        case "prior":
            yield lambda: [part().sample((2,))]


def _of_model(case: Case) -> Iterator[Ask]:
    here, given = around(case)
    model: Any = moved(here, "meta")
    x = given.to("meta")
    yield lambda: [*losses(model, x), *model.terms(x).values.values()]
    if case.kind == "model":
        yield lambda: [model.draws(2, noise=True)]
        if model.observations is not None:
            yield lambda: [model.log_weights(model.observe(x), 1)]
