"""Faults in what parts of a model make of their input, and in their state."""

from typing import Any

import torch
from torch import Tensor

from genmod.spec import ComponentSpec
from genmod.system.random import reseed
from genmod.testing.mutation.mutator import (
    Attributes,
    NoChange,
    Seen,
    after,
    before,
    constructed,
    mutates,
    replaced,
)

__all__: list[str] = []

_MAPS = ("encoder", "network")
_READERS = ("encoder", "network", "posterior", "decoder")
_OF_THE_BATCH = (
    "check_batch_independence",
    "check_batch_size",
    "check_every_parameter",
    "check_input_gradient",
)


@mutates("one input is ignored", *_MAPS, check=("check_every_value", "check_every_latent"))
def _ignored(cls: Any, seen: Seen) -> Attributes:
    def without(self: Any, x: Tensor) -> tuple[Tensor, ...]:
        keep = torch.ones_like(x[0]).flatten()
        keep[0] = 0
        return (x * keep.view_as(x[0]),)

    return before(cls, "forward", without, seen)


@mutates("every example is answered as the first", *_READERS, check=_OF_THE_BATCH)
def _first(cls: Any, seen: Seen) -> Attributes:
    def same(self: Any, x: Tensor, *others: Any) -> tuple[Any, ...]:
        return (x[:1].expand(x.shape), *others)

    return before(cls, "forward", same, seen)


@mutates("inputs are centred over the batch", *_READERS, check="check_batch_independence")
def _centred(cls: Any, seen: Seen) -> Attributes:
    def centred(self: Any, x: Tensor, *others: Any) -> tuple[Any, ...]:
        return (x - x.mean(0, keepdim=True), *others)

    return before(cls, "forward", centred, seen)


@mutates("outputs are centred over the batch", *_MAPS, check="check_batch_independence")
def _whitened(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, out, x: out - out.mean(0, keepdim=True), seen)


@mutates("outputs grow with the batch", *_MAPS, check="check_batch_size")
def _by_batch(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, out, x: out * len(x) ** 0.5, seen)


@mutates("a parameter gets no gradient", *_READERS, "prior", check="check_gradient")
def _frozen(cls: Any, seen: Seen) -> Attributes:
    def without(self: Any, original: Any, *args: Any) -> Any:
        asked = [each for each in self.parameters() if each.requires_grad]
        seen.reached = True
        if not asked:
            return original(*args)
        seen.changed = True
        asked[-1].requires_grad_(False)
        try:
            return original(*args)
        finally:
            asked[-1].requires_grad_(True)

    return replaced(cls, "forward", without, Seen())


@mutates("inputs get no gradient", "posterior", "decoder", "network", check="check_input_gradient")
def _detached(cls: Any, seen: Seen) -> Attributes:
    return before(cls, "forward", lambda self, x, *others: (x.detach(), *others), seen)


@mutates(
    "dropout outside of training",
    *_READERS,
    check=("check_evaluation", "check_random_state", "check_batch_size"),
)
def _dropped(cls: Any, seen: Seen) -> Attributes:
    def dropped(self: Any, x: Tensor, *others: Any) -> tuple[Any, ...]:
        return (x * (torch.rand_like(x) > 0.2), *others)

    return before(cls, "forward", dropped, seen)


@mutates("an input is changed in place", *_READERS, check="check_evaluation")
def _in_place(cls: Any, seen: Seen) -> Attributes:
    def changed(self: Any, original: Any, x: Tensor, *others: Any) -> Any:
        with torch.no_grad():
            x.data.mul_(1.01)
        return original(x, *others)

    return replaced(cls, "forward", changed, seen)


@mutates("calls are counted, and the count is in the output", *_MAPS, check="check_evaluation")
def _counted(cls: Any, seen: Seen) -> Attributes:
    def counted(self: Any, out: Tensor, x: Tensor) -> Tensor:
        calls = self.__dict__["_calls"] = self.__dict__.get("_calls", 0) + 1
        return out * (1 + 0.01 * calls)

    return after(cls, "forward", counted, seen)


@mutates("everything is single precision", *_MAPS, check="check_dtype")
def _single(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, out, x: out.float(), seen)


@mutates("a tensor is made on the CPU", *_READERS, check="check_device")
def _on_cpu(cls: Any, seen: Seen) -> Attributes:
    def moved(self: Any, original: Any, x: Tensor, *others: Any) -> Any:
        return original(x + torch.zeros(x.shape, dtype=x.dtype, device="cpu"), *others)

    return replaced(cls, "forward", moved, seen)


@mutates("part of its state is not saved", *_READERS, check="check_state_dict")
def _unsaved(cls: Any, seen: Seen) -> Attributes:
    kept = constructed(cls, lambda part: part.__dict__.update(_own_scale=1 + float(torch.rand(()))), seen)
    scaled = before(cls, "forward", lambda self, x, *others: (x * self._own_scale, *others), seen)
    return {**kept, **scaled}


@mutates("it uses up random numbers of others", *_READERS, "prior", check="check_random_state")
def _uses_random_numbers(cls: Any, seen: Seen) -> Attributes:
    def drawn(self: Any, original: Any, *args: Any) -> Any:
        torch.rand(3, device="cpu")
        return original(*args)

    return replaced(cls, "forward", drawn, seen)


@mutates("it seeds the global generator", *_READERS, "prior", "divergence", check="check_random_state")
def _seeds(cls: Any, seen: Seen) -> Attributes:
    return constructed(cls, lambda part: reseed(271), seen, first=True)


@mutates("it declares another shape of features", "encoder", check="check_shapes")
def _other_shape(cls: Any, seen: Seen) -> Attributes:
    def declare(part: Any) -> None:
        part.feature_shape = (*part.feature_shape[:-1], part.feature_shape[-1] + 1)

    return constructed(cls, declare, seen)


@mutates("its mirror is a network that there is not", "encoder", check="check_mirror")
def _no_mirror(cls: Any, seen: Seen) -> Attributes:
    def other(self: Any, found: Any) -> Any:
        return found and ComponentSpec(f"{found.name}-of-another-name")

    if "mirror" not in {name for base in cls.__mro__[:-1] for name in vars(base)}:
        raise NoChange("it has no mirror")
    return after(cls, "mirror", other, seen)


@mutates("outputs are bounded", "network", check="check_output_range")
def _bounded(cls: Any, seen: Seen) -> Attributes:
    return after(cls, "forward", lambda self, out, z: out.tanh(), seen)
