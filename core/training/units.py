"""Which blocks of a model can have their weights gathered alone, only while they compute: found by computing once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genmod.interfaces.critic import Critic
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.system.parallel import local
from genmod.training.blocks import blocks_of
from genmod.training.nonfinite import Buffers

__all__ = ["LEAST", "network_units", "size_of", "units_of"]

LEAST = 2**18
"""Numbers in a block from which on it is gathered alone: for a smaller one, a message of its own takes longer than it saves."""


def units_of(
    model: nn.Module, compute: Callable[[], object], least: int | None = None
) -> list[tuple[nn.Module, ...]]:
    """Blocks, each of one or several modules, and after them the components whose other weights are gathered together.

    A block is taken if its weights are used by nothing but its own forward pass, and if that returns tensors; this is seen in
    one computation. Weights that are in none of the units have to be gathered for the whole step.

    Args:
        model: the model.
        compute: computes with the model what a step computes; random numbers and buffers are as before afterwards.
        least: numbers in a block from which on it is a unit; by default :data:`LEAST`.
    """
    parts = [part for part in model.children() if not isinstance(part, Critic)]
    blocks = _unshared(model, [block for part in parts for block in blocks_of(part)])
    blocks = [block for block in blocks if size_of(block) >= (LEAST if least is None else least)]
    if blocks:
        with _watching(model, blocks) as alone:
            compute()
        blocks = [block for i, block in enumerate(blocks) if i in alone]
    # Components that return distributions are left out: what is gathered in the backward pass hangs on tensors.
    networks = [(part,) for part in parts if isinstance(part, Encoder | Network)]
    return [*blocks, *(each for each in networks if size_of(each))]


def size_of(unit: tuple[nn.Module, ...]) -> int:
    """How many numbers the weights of a unit are."""
    return sum(p.numel() for p in {id(p): p for module in unit for p in module.parameters()}.values())


def network_units(model: nn.Module, units: Iterable[tuple[nn.Module, ...]]) -> list[tuple[nn.Module, ...]]:
    """Those units that lie within encoder and network, which may compute in low precision."""
    parts = [part for part in model.children() if isinstance(part, Encoder | Network)]
    inside = {id(module) for part in parts for module in part.modules()}
    return [unit for unit in units if all(id(module) in inside for module in unit)]


def _unshared(model: nn.Module, blocks: list[tuple[nn.Module, ...]]) -> list[tuple[nn.Module, ...]]:
    """Those that share no weight with another module, each once."""
    owners = Counter(
        id(p) for module in model.modules() for p in module._parameters.values() if p is not None
    )
    once = {id(block[0]): block for block in blocks}.values()
    return [
        block for block in once if all(owners[id(p)] == 1 for module in block for p in module.parameters())
    ]


@contextmanager
def _watching(model: nn.Module, blocks: list[tuple[nn.Module, ...]]) -> Iterator[set[int]]:
    """Context after which the set has the blocks that computed alone, by number; empty if the computation failed."""
    watch, alone = _Watch(blocks), set[int]()
    buffers = Buffers(model)
    buffers.keep()
    try:
        with ExitStack() as stack:
            for i, block in enumerate(blocks):
                for module in block:
                    stack.callback(module.register_forward_pre_hook(watch.enter(i)).remove)
                    stack.callback(module.register_forward_hook(watch.leave(i), always_call=True).remove)
            stack.enter_context(torch.random.fork_rng(devices=_gpus(model)))
            stack.enter_context(torch.no_grad())
            stack.enter_context(local())
            stack.enter_context(watch)
            yield alone
        alone |= watch.called - watch.wrong
    except Exception:
        # Whatever fails here fails again in the first step, with an error that says more.
        alone.clear()
    finally:
        buffers.put_back()


def _gpus(model: nn.Module) -> list[int]:
    found = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    return sorted(torch.cuda.current_device() if index is None else index for index in found)


class _Watch(TorchDispatchMode):
    """Notes which blocks are called, and which have weights that are used while they are not."""

    def __init__(self, blocks: list[tuple[nn.Module, ...]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.called, self.wrong = set[int](), set[int]()
        self._home = {
            id(p): i for i, block in enumerate(blocks) for module in block for p in module.parameters()
        }
        self._inside = Counter[int]()

    def enter(self, number: int) -> Callable[..., None]:
        """Forward pre-hook of a module of a block."""

        def hook(module: nn.Module, given: Any) -> None:
            self.called.add(number)
            self._inside[number] += 1

        return hook

    def leave(self, number: int) -> Callable[..., None]:
        """Forward hook of the same module."""

        def hook(module: nn.Module, given: Any, made: Any) -> None:
            self._inside[number] -= 1
            if not all(isinstance(leaf, Tensor) for leaf in tree_leaves(made)):
                self.wrong.add(number)

        return hook

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for leaf in tree_leaves((args, kwargs)):
            number = self._home.get(id(leaf))
            if number is not None and not self._inside[number]:
                self.wrong.add(number)
        return function(*args, **kwargs)
