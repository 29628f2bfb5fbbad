"""Infinities and NaN: detected before weights are updated, and traced to the module where they first arise."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.errors import GenmodError, quoted
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.part import MAIN
from genmod.training.groups import moved_by, trained
from genmod.training.sharding import local_part

__all__ = ["NonFiniteError", "all_finite", "first_non_finite", "non_finite"]


class NonFiniteError(GenmodError):
    """The loss or a gradient is infinite or NaN; weights have not been updated by it."""


def non_finite(step: int, where: str, directory: Path | None) -> NonFiniteError:
    """The error for a step with a non-finite value, with the place where it arose and how to reproduce it.

    Args:
        step: counted from 1.
        where: component and tensor; empty if unknown.
        directory: model directory with the state before that step; None if there is none.
    """
    hint = "the weights before that step are kept; try a lower --lr, or --clip 1"
    if directory is not None:
        hint += f"\nrepeat that step: genmod train {quoted(directory)} --replay"
    return NonFiniteError(
        f"step {step} gave a loss or a gradient that is not finite" + (f": {where}" if where else ""),
        hint=hint,
    )


def all_finite(losses: Iterable[Tensor], gradients: Iterable[Tensor]) -> bool:
    """Whether all losses ``()`` and all gradients are finite.

    The sum of a gradient is finite unless one of its values is not or the sum overflows, which is an error too.
    On the CPU, sums take a tenth of the time of norms; on a GPU, one kernel computes the norms of all gradients.

    Example:
        >>> all_finite([torch.tensor(1.0)], [torch.zeros(2), torch.tensor([float("nan")])])
        False
    """
    local = [local_part(gradient) for gradient in gradients]
    if all(gradient.device.type == "cpu" for gradient in local):
        return math.isfinite(sum(float(each.detach().sum()) for each in (*losses, *local)))
    norms = torch._foreach_norm(local, ord=1)
    return bool(torch.stack([each.detach().float() for each in (*losses, *norms)]).sum().isfinite())


class Buffers:
    """A copy of a model's buffers, such as running means of batch normalisation, by which a step is undone.

    Args:
        model: whose buffers to copy.
        moving: parts of it whose own parameters, too, are moved after a step.

    Example:
        >>> model = nn.BatchNorm1d(1)
        >>> buffers = Buffers(model)
        >>> buffers.keep()
        >>> _ = model(torch.tensor([[float("nan")], [0.0]]))
        >>> buffers.put_back()
        >>> model.running_mean
        tensor([0.])
    """

    def __init__(self, model: nn.Module, moving: Iterable[nn.Module] = ()) -> None:
        # Looked up at each call: a component may replace a buffer by another tensor.
        self._parameters: list[tuple[Any, str]] = [
            (part._parameters, name) for part in moving for name in part._parameters
        ]
        self._places: list[tuple[Any, str]] = [
            *((module._buffers, name) for module in model.modules() for name in module._buffers),
            *self._parameters,
        ]
        self._kept: list[Tensor] = []

    @torch.no_grad()
    def keep(self, stopped: Tensor | None = None) -> None:
        """Copy the current buffers.

        Args:
            stopped: 1 where the last copy is to be kept, ``()``, on their device.
        """
        now = self._now()
        if not self._kept:
            self._kept = [buffer.clone() for buffer in now]
        elif stopped is not None:
            for kept, buffer in zip(self._kept, now, strict=True):
                kept.copy_(torch.where(stopped > 0, kept, buffer))
        elif now:
            torch._foreach_copy_(self._kept, now)

    @torch.no_grad()
    def hold(self, stopped: Tensor) -> None:
        """Restore the parameters of the parts where a step has stopped the run: 1 or 0, ``()``."""
        now = [p for holder, name in self._parameters if (p := holder[name]) is not None]
        for parameter, kept in zip(now, self._kept[len(self._kept) - len(now) :], strict=True):
            parameter.copy_(torch.where(stopped > 0, kept, parameter))

    @torch.no_grad()
    def put_back(self) -> None:
        """Restore the buffers of the last :meth:`keep`."""
        for buffer, kept in zip(self._now(), self._kept, strict=True):
            buffer.copy_(kept)

    def _now(self) -> list[Tensor]:
        return [buffer for holder, name in self._places if (buffer := holder[name]) is not None]


def first_non_finite(model: GenerativeModel, x: Tensor, context: Tensor | None = None) -> str:
    """Where a non-finite value first arises when the loss of ``x`` is computed and differentiated.

    Returns:
        The weight, the module whose output it is, the reported term, or the gradient, by name; empty if all values
        are finite.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if _bad(tensor):
            return f"{name}, a weight of shape {tuple(tensor.shape)}"
    if _bad(x[~x.isnan()] if model.data.missing else x):
        return f"the data: {_count(x)}"
    forward: list[str] = []
    backward: list[str] = []
    with _watch(model, forward, backward):
        terms = model.terms(x) if context is None else model.terms(x, context)
        if forward:
            return forward[0]
        for name, value in terms.values.items():
            if _bad(value):
                return f"the term {name!r}: {_count(value)}"
        losses = {MAIN: terms.loss} if isinstance(terms.loss, Tensor) else terms.loss
        if any(map(_bad, losses.values())):
            return "the loss"
        gradients = _gradients(model, losses)
    # The backward pass starts at the loss, so the first gradient that was seen is the closest to it.
    wrong = [*backward, *(f"the gradient of {name}: {_count(g)}" for name, g in gradients.items() if _bad(g))]
    return wrong[0] if wrong else ""


def _gradients(model: GenerativeModel, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients by parameter, each of the loss that updates it; parameters close to the loss come first."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {name: replace(group, start=0, every=1) for name, group in trained(model.groups()).items()}
    found: dict[str, Tensor] = {}
    for name, moved in moved_by(losses, groups, 0).items():
        gradients = torch.autograd.grad(losses[name], moved, retain_graph=True, allow_unused=True)
        found |= {names[id(p)]: g for p, g in zip(moved, gradients, strict=True) if g is not None}
    return dict(reversed(found.items()))


@contextmanager
def _watch(model: nn.Module, forward: list[str], backward: list[str]) -> Iterator[None]:
    """Context in which non-finite outputs of modules, and non-finite gradients of them, are recorded."""

    def hook(name: str) -> Any:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            place = name or type(module).__name__
            for what, tensor in _tensors(output):
                if _bad(tensor):
                    forward.append(f"the output of {place}{what}: {_count(tensor)}")
                elif tensor.requires_grad:
                    tensor.register_hook(look_back(f"the gradient that reaches the output of {place}{what}"))

        return look

    def look_back(place: str) -> Any:
        def look(gradient: Tensor) -> None:
            if _bad(gradient):
                backward.append(f"{place}: {_count(gradient)}")

        return look

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(output: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(output, Tensor):
        yield "", output
    elif isinstance(output, Distribution):
        base: Any = output
        while hasattr(base, "base_dist"):
            base = base.base_dist
        for name in base.arg_constraints:
            value = vars(base).get(name)
            if isinstance(value, Tensor):
                yield f" ({name} of {type(base).__name__})", value


def _bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(tensor.detach().isfinite().all())


def _count(tensor: Tensor) -> str:
    bad = int((~tensor.detach().isfinite()).sum())
    return f"{bad} of {tensor.numel()} values are not finite"
