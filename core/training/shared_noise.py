"""Random numbers in distributed training: each process draws them for the whole batch and keeps its own part.

The batch dimension of each random operation is found by a rehearsal: the step is computed once with another number of
examples, and the dimension whose size changes is that of the examples. So any component works, also one of a plugin.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.interfaces.posterior import Posterior
from genmod.system.parallel import local
from genmod.system.uncompiled import uncompiled
from genmod.training.layout import Draw, Portion, has_sizes, order_of, sizes_of

__all__ = ["SharedNoise", "Unrehearsed", "repeating_draws"]

_HERE, _TORCH = (f"{Path(file).parent}{os.sep}" for file in (__file__, torch.__file__))
# Between a function of torch and its draws, but not in the rehearsal.
_ON_THE_WAY = (__file__, uncompiled.__code__.co_filename)

_Place = tuple[tuple[str, int], ...]


class Unrehearsed(Exception):
    """A random operation differs from those of the rehearsal."""


class SharedNoise(TorchFunctionMode):
    """Context in which random numbers are drawn as for the whole batch, and each process keeps its own part.

    All processes draw from the same stream. Random numbers that belong to no example, such as random projections, are
    the same in all processes.

    Args:
        share: this process's part of the batch.
        whole: number of examples in the batch.
        device: device of the random numbers.
        gather: joins the parts of all processes, ``(B, *shape) → (whole, *shape)``, with the same result in each.

    Raises:
        Unrehearsed: an operation differs from those recorded by :meth:`rehearsing`.
        UsageError: random numbers that cannot be shared; the message says where they are drawn.
    """

    def __init__(
        self, share: slice, whole: int, device: torch.device, gather: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        mine = share.stop - share.start
        self.portion = Portion(share.start, mine, whole, mine + (1 if mine + 1 != whole else 2))
        self.gather = gather or self._gathered
        self._device = device
        self._watching: _Watch | None = None
        # Recorded by the rehearsal: the functions of torch that draw, and the draws in order, by operation and place in
        # the program.
        self._functions: set[Any] | None = None
        self._draws: dict[tuple[str, _Place], list[Draw]] = {}
        self._counts: dict[tuple[str, _Place], int] = {}
        self._stream: list[Tensor] = []

    def __enter__(self) -> "SharedNoise":
        self._counts.clear()
        self._stream = self.streams()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        if error[0] is None:
            self._check_stream()

    @contextmanager
    def rehearsing(self, model: nn.Module) -> Iterator[int]:
        """Context that records the random operations of a step, computed with the yielded number of examples.

        Meanwhile there is no communication between processes.
        """
        self._watching = watch = _Watch(self)
        try:
            with ExitStack() as stack:
                for part in model.modules():
                    if isinstance(part, Encoder | Network | Posterior):
                        stack.callback(part.register_forward_pre_hook(watch.enter).remove)
                        stack.callback(part.register_forward_hook(watch.leave, always_call=True).remove)
                stack.enter_context(local())
                stack.enter_context(watch)
                super().__enter__()  # type: ignore[no-untyped-call]
                stack.push(super().__exit__)
                yield self.portion.trial
        finally:
            self._watching = None
        self._functions, self._draws = watch.functions, watch.draws

    @contextmanager
    def repeating(self, counts: dict[tuple[str, _Place], int]) -> Iterator[None]:
        """Context in which draws are repeated in the backward pass, which is computed without this mode or elsewhere.

        Args:
            counts: of the draws before them.
        """
        kept = self._counts, self._stream
        self._counts, self._stream = dict(counts), self.streams()
        there = self in _get_current_function_mode_stack()
        try:
            if not there:
                super().__enter__()  # type: ignore[no-untyped-call]
            yield
        finally:
            if not there:
                super().__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._counts, self._stream = kept

    def repeated(self) -> Callable[[], AbstractContextManager[None]]:
        """What makes a context in which the draws from here on are repeated."""
        return partial(self.repeating, dict(self._counts))

    @property
    def rehearsed(self) -> bool:
        """Whether the step has been rehearsed."""
        return self._functions is not None

    def mark(self) -> int:
        """A hash of the generator states, equal in all processes that have drawn the same amount."""
        states = b"".join(state.numpy().tobytes() for state in self.streams())
        return int.from_bytes(hashlib.blake2b(states, digest_size=7).digest(), "big")

    def streams(self) -> list[Tensor]:
        """States of the generators."""
        states = [torch.default_generator.get_state()]
        if self._device.type == "cuda":
            index = self._device.index if self._device.index is not None else torch.cuda.current_device()
            states.append(torch.cuda.default_generators[index].get_state())
        return states

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self._watching is not None:
            self._watching.function = func
        elif self._functions is None or func in self._functions:
            return self._drawing(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    @uncompiled
    def _drawing(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._functions is None:
            raise Unrehearsed
        self._check_stream()
        with _Share(self):
            result = func(*args, **kwargs)
        self._stream = self.streams()
        return result

    def of_batch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a random operation for the whole batch, and return this process's part of the result."""
        key = (_name(func), _place())
        known = self._draws.get(key)
        if known is None:
            result = func(*args, **kwargs)
            self._check_stream()
            return result
        count = self._counts[key] = self._counts.get(key, -1) + 1
        draw = known[min(count, len(known) - 1)]
        wide = [*args, *kwargs.values()]
        places = [i for i, each in enumerate(wide) if has_sizes(each)]
        if len(places) != len(draw.given):
            raise Unrehearsed
        for index, i in enumerate(places):
            wide[i] = draw.widened(index, wide[i], self.portion, self.gather)
        wide_args, wide_kwargs = wide[: len(args)], dict(zip(kwargs, wide[len(args) :], strict=True))
        made = func(*wide_args, **wide_kwargs)
        self._stream = self.streams()
        if func._schema.is_mutable:
            if wide_args[0] is not args[0]:
                args[0].copy_(draw.own(wide_args[0], draw.given[0], self.portion))
            return args[0]
        results, tree = tree_flatten(made)
        pairs = zip(results, draw.made, strict=True)
        return tree_unflatten([draw.own(each, sizes, self.portion) for each, sizes in pairs], tree)

    def _check_stream(self) -> None:
        if not _equal(self._stream, self.streams()):
            raise Unrehearsed

    def _gathered(self, part: Tensor) -> Tensor:
        every = part.new_zeros(self.portion.whole, *part.shape[1:])
        every[self.portion.first : self.portion.first + self.portion.mine] = part
        dist.all_reduce(every)
        return every


def repeating_draws() -> Callable[[], AbstractContextManager[None]] | None:
    """What makes a context in which draws from here on are repeated; None where no random numbers are shared."""
    active = [mode for mode in _get_current_function_mode_stack() if isinstance(mode, SharedNoise)]
    return active[-1].repeated() if active else None


class _Share(TorchDispatchMode):
    """Mode in which the random operations inside a function of torch are run for the whole batch."""

    def __init__(self, noise: SharedNoise) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise = noise

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.noise.of_batch(func, args, kwargs or {})


class _Watch(TorchDispatchMode):
    """Mode that records random operations: those that change a generator state."""

    def __init__(self, noise: SharedNoise) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise = noise
        self.function: Any = None
        self.functions: set[Any] = set()
        self.draws: dict[tuple[str, _Place], list[Draw]] = {}
        self._rows: list[int] = []

    def enter(self, part: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Forward pre-hook of a part: notes how many rows of each example it is given."""
        self._rows.append(len(given[0]) // self.noise.portion.trial)

    def leave(self, part: nn.Module, given: Any, made: Any) -> None:
        """Forward hook of the same part."""
        self._rows.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = self.noise.streams()
        result = func(*args, **kwargs)
        if not _equal(before, self.noise.streams()):
            given = [each for each in (*args, *kwargs.values()) if has_sizes(each)]
            place, rows = _place(), self._rows[-1] if self._rows else None
            draw = Draw(
                _name(func),
                ":".join(map(str, place[0])) if place else "torch",
                list(map(sizes_of, given)),
                list(map(order_of, given)),
                [sizes_of(each) if isinstance(each, Tensor) else () for each in tree_flatten(result)[0]],
                rows,
            )
            self.draws.setdefault((draw.name, place), []).append(draw)
            self.functions.add(self.function)
        return result


def _equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(map(torch.equal, a, b))


def _name(func: Any) -> str:
    """``uniform`` of ``aten.uniform_.default``."""
    return str(func._schema.name).rpartition("::")[2].removesuffix("_")


def _place() -> _Place:
    """Files and lines of the calling functions outside torch, from the innermost up to the training step."""
    # Not code objects: a compiler replaces them, with the same lines.
    found: list[tuple[str, int]] = []
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name not in _ON_THE_WAY:
            if name.startswith(_HERE):
                break
            if not name.startswith(_TORCH):
                found.append((name, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)
