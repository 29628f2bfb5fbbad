"""Activation checkpointing: blocks of networks are computed again in the backward pass, and keep only what they are given."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genmod.interfaces.critic import Critic
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.training.blocks import LISTS, is_block, segments
from genmod.training.shared_noise import repeating_draws

__all__ = ["activation_checkpointing"]

_Buffer = tuple[dict[str, Tensor | None], str, Tensor]


@contextmanager
def activation_checkpointing(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Context in which the networks of a model compute their activations again in the backward pass.

    A block is a member of a list of modules that has modules of its own, as a residual block, or a layer of a sequence with
    the norm and function after it; an encoder or network without such lists is one block. Random numbers and buffers, such as
    running means, are those of the first time, so that gradients are the same bits. Nothing is asked of components.

    Args:
        model: the model.
        wanted: whether anything is done at all.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
        >>> with activation_checkpointing(nn.ModuleDict({"net": net})):
        ...     net(torch.ones(1, 2)).sum().backward()
        >>> net[0].weight.grad.shape
        torch.Size([2, 2])
    """
    blocks = list(_blocks_of_model(model)) if wanted else []
    try:
        for block, forward in blocks:
            # A call of a module looks here before it looks at its class; names of weights stay what they are.
            block.__dict__["forward"] = forward
        yield
    finally:
        for block, _ in blocks:
            block.__dict__.pop("forward", None)


_Blocks = Iterator[tuple[nn.Module, Callable[..., Any]]]


def _blocks_of_model(model: nn.Module) -> _Blocks:
    """Modules and the function that each gets for a forward pass, every module once."""
    seen: set[int] = set()
    for part in model.children():
        # Critics look at pictures, and take gradients of gradients.
        if isinstance(part, Critic):
            continue
        found = list(_blocks(part))
        if not found and isinstance(part, Encoder | Network):
            found = [(part, partial(_again, (part,), part.forward))]
        for block, forward in found:
            if id(block) not in seen:
                seen.add(id(block))
                yield block, forward


def _blocks(module: nn.Module) -> _Blocks:
    if type(module) is nn.Sequential and any(len(each) > 1 for each in segments(module)):
        yield module, partial(_through, segments(module))
    for member in module.children():
        if isinstance(module, LISTS) and is_block(member):
            yield member, partial(_again, (member,), member.forward)
        else:
            yield from _blocks(member)


def _through(segments: list[tuple[nn.Module, ...]], x: Any) -> Any:
    """The forward pass of a sequence, segment by segment."""
    for segment in segments:
        # A layer alone keeps what it is given anyhow, and a block in the sequence has a forward pass of its own.
        x = segment[0](x) if len(segment) == 1 else _again(segment, partial(_in_turn, segment), x)
    return x


def _in_turn(segment: tuple[nn.Module, ...], x: Any) -> Any:
    for layer in segment:
        x = layer(x)
    return x


def _again(modules: tuple[nn.Module, ...], forward: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """What a block makes of what it is given; what it keeps for gradients is made again when they are asked for."""
    if not torch.is_grad_enabled():
        return forward(*given, **more)
    if torch.compiler.is_compiling():
        # The compiler draws random numbers and changes buffers once, whatever it computes again.
        return checkpoint(forward, *given, use_reentrant=False, **more)
    return checkpoint(forward, *given, use_reentrant=False, context_fn=partial(_contexts, modules), **more)


def _contexts(
    modules: tuple[nn.Module, ...],
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Contexts of the first forward pass of a block, and of those that repeat it."""
    changed: list[_Buffer] = []
    draws = repeating_draws()
    return _noting(modules, changed), _AsBefore(changed, draws)


@contextmanager
def _noting(modules: tuple[nn.Module, ...], changed: list[_Buffer]) -> Iterator[None]:
    """Context that notes which buffers are changed within it, with their values before."""
    before = [
        (each._buffers, name, tensor, tensor.clone())
        for module in modules
        for each in module.modules()
        for name, tensor in each._buffers.items()
        if tensor is not None
    ]
    yield
    for place, name, tensor, old in before:
        # Batch normalisation changes its running means without counting that. To compare values on a GPU waits for it.
        if place[name] is not tensor or tensor.device.type != "cpu" or not torch.equal(tensor, old):
            changed.append((place, name, old))


class _AsBefore:
    """Context in which buffers have the values and random numbers are those of the first time; may be entered again."""

    def __init__(
        self, changed: list[_Buffer], draws: Callable[[], AbstractContextManager[Any]] | None
    ) -> None:
        self._changed, self._draws = changed, draws

    def __enter__(self) -> None:
        self._now = [(place, name, place[name]) for place, name, _ in self._changed]
        for place, name, old in self._changed:
            place[name] = old.clone()
        self._repeated = self._draws() if self._draws is not None else nullcontext()
        self._repeated.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._repeated.__exit__(*error)
        for place, name, tensor in self._now:
            place[name] = tensor
