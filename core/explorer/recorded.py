"""Operations of a module, recorded while it runs.

This needs nothing beyond torch, where ``torch.export`` imports the compiler. What is recorded is what the module does with one
input. Whatever may depend on values in another manner (numbers that are read, tensors that are changed) ends the recording; and
the operations must give what the module gives for another input, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from genmod.explorer.operations import name_of, written
from genmod.explorer.program import Graph
from genmod.system.random import seeded

__all__ = ["recorded"]

_TOLERANCE = 1e-4


def recorded(module: nn.Module, inputs: tuple[Tensor, ...]) -> Graph | None:
    """The operations of a module; None where ``torch.export`` has to find them, or the reason why nothing can.

    Args:
        module: in evaluation mode, with one tensor as its result.
        inputs: examples of its inputs, in single or double precision.

    Raises:
        NotImplementedError: by the module itself, as by the mean of a distribution that has none.
    """
    recording = _Recording()
    others = tuple(torch.linspace(0, 1, x.numel(), dtype=x.dtype, device=x.device).view_as(x) for x in inputs)
    try:
        with torch.no_grad():
            module(*inputs)
    except NotImplementedError:
        raise
    except Exception:
        return None
    try:
        with torch.no_grad():
            watched = tuple(_Watched(x, _Value()) for x in inputs)
            with _Recorder(recording):
                result = module(*watched)
            if not isinstance(result, _Watched):
                return None
            with seeded(0):
                expected = module(*others)
            with seeded(0):
                found = recording.run_again(watched, others, result)
    except Exception:  # of any code of a component; exporting it meets the same, and says so
        return None
    near = _TOLERANCE * max(1.0, float(expected.nan_to_num(0, 0, 0).abs().max()))
    if not torch.allclose(found, expected, rtol=0, atol=near, equal_nan=True):
        return None
    return recording.graph(watched, result)


class _Unrecordable(Exception):
    """What was done is no operation of a browser, or may depend on values in a manner that is not recorded."""


@dataclass(eq=False)
class _Value:
    """Stands for a result in recorded arguments."""


@dataclass
class _Call:
    target: Any
    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: _Value
    item: int | None = None
    """Place of the result among several."""


@dataclass
class _Recording:
    calls: list[_Call] = field(default_factory=list)
    constants: dict[int, tuple[_Value, Tensor]] = field(default_factory=dict)

    def call(self, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation, and record it."""
        if target in _SAME:
            return args[0]
        if target in _ENLARGED:
            target, args, kwargs = _enlarged(target, *args)
        if target in _REWRITTEN:
            with _Recorder(self):
                return _REWRITTEN[target](*args, **kwargs)
        plain_args, plain_kwargs = tree_map_only(_Watched, lambda x: x.value, (args, dict(kwargs)))
        if target in _OF_SHAPES:
            return target(*plain_args, **plain_kwargs)
        if target._schema.is_mutable or not (target in _KNOWN or torch.Tag.core in target.tags):
            raise _Unrecordable(str(target))
        made = target(*plain_args, **plain_kwargs)
        several = isinstance(made, tuple | list)
        name = name_of(target, made)
        if name is None:
            raise _Unrecordable(str(target))
        noted_args, noted_kwargs = tree_map_only(Tensor, self._noted, (args, dict(kwargs)))
        value = _Value()
        self.calls.append(_Call(target, name, noted_args, noted_kwargs, value))
        if not several:
            return _Watched(made, value)
        found = []
        for i, each in enumerate(made):
            item = _Value()
            self.calls.append(_Call(None, "getitem", (value, i), {}, item, i))
            found.append(_Watched(each, item))
        return type(made)(found)

    def _noted(self, x: Tensor) -> _Value:
        if isinstance(x, _Watched):
            return x.noted
        # The tensor is kept, so that no other one gets its identity.
        return self.constants.setdefault(id(x), (_Value(), x))[0]

    def run_again(
        self, watched: Sequence["_Watched"], inputs: Sequence[Tensor], result: "_Watched"
    ) -> Tensor:
        """The result for other inputs."""
        found: dict[_Value, Any] = dict(self.constants.values())
        found |= {each.noted: x for each, x in zip(watched, inputs, strict=True)}
        for call in self.calls:
            args, kwargs = tree_map_only(_Value, found.__getitem__, (tuple(call.args), dict(call.kwargs)))
            found[call.result] = args[0][call.item] if call.item is not None else call.target(*args, **kwargs)
        answer: Tensor = found[result.noted]
        return answer

    def graph(self, watched: Sequence["_Watched"], result: "_Watched") -> Graph:
        """What was recorded, without what the result does not need."""
        needed, kept = {result.noted}, []
        for call in reversed(self.calls):
            if call.result in needed:
                kept.append(call)
                tree_map_only(_Value, needed.add, (tuple(call.args), dict(call.kwargs)))
        used = [(value, tensor) for value, tensor in self.constants.values() if value in needed]
        values = [*(value for value, _ in used), *(each.noted for each in watched)]
        places = {value: i for i, value in enumerate([*values, *(call.result for call in reversed(kept))])}
        return Graph(
            inputs=tuple(tuple(each.shape) for each in watched),
            constants=tuple(tensor for _, tensor in used),
            nodes=tuple(
                written(call.name, call.target, call.args, call.kwargs, places) for call in reversed(kept)
            ),
            output=places[result.noted],
        )


class _Watched(Tensor):
    """A tensor whose operations are recorded. It has no memory, so that its values cannot be read in another manner."""

    value: Tensor
    noted: _Value

    @staticmethod
    def __new__(cls: type, value: Tensor, noted: _Value) -> "_Watched":
        made: _Watched = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, value.shape, strides=value.stride(), dtype=value.dtype, device=value.device
        )
        made.value, made.noted = value, noted
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, target: Any, *_: Any) -> Any:
        raise _Unrecordable(f"{target} outside of the recording")


class _Recorder(TorchDispatchMode):
    """Context in which operations of watched tensors are recorded.

    A mode, since torch imports its tensors of several machines, and sympy with them, to call a subclass.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # a wrapper that imports the compiler would be put around the method below

    def __init__(self, recording: _Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording = recording

    def __torch_dispatch__(
        self, target: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if any(issubclass(each, _Watched) for each in types):
            return self.recording.call(target, args, kwargs or {})
        return target(*args, **(kwargs or {}))


def _softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    scaled = x * beta
    return torch.where(scaled > threshold, x, scaled.exp().log1p() / beta)


def _transposed(x: Tensor, a: int, b: int) -> Tensor:
    dims = list(range(x.dim()))
    dims[a], dims[b] = dims[b], dims[a]
    return x.permute(dims)


def _normalised(
    x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> Any:
    if training:
        raise _Unrecordable
    return _ATEN._native_batch_norm_legit_no_training(x, weight, bias, mean, var, momentum, eps)


def _enlarged(target: Any, x: Tensor, size: Any, *more: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The form with one list of factors, of which the browser reads either these or the size."""
    count = len(target._schema.arguments) - 4
    corners, factors = more[:count], [each for each in more[count:] if each is not None]
    return _ENLARGED[target], (x, None if factors else size, *corners, factors or None), {}


def _norm(
    x: Tensor, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    if order != 2 or dim is None or dtype is not None:
        raise _Unrecordable
    return (x * x).sum(dim, keepdim=keepdim).sqrt()


def _split(x: Tensor, size: int, dim: int = 0) -> Any:
    whole, rest = divmod(x.shape[dim], size)
    return x.split([size] * whole + [rest] * bool(rest), dim)


def _compared_in_place(x: Tensor, y: Any) -> Tensor:
    if not isinstance(x, _Watched):
        raise _Unrecordable
    made = _ATEN._to_copy(torch.lt(x, y), dtype=x.dtype)
    x.value, x.noted = made.value, made.noted  # type: ignore[attr-defined]
    return x


_ATEN = torch.ops.aten
_ENLARGED = {
    _ATEN.upsample_nearest2d.default: _ATEN.upsample_nearest2d.vec,
    _ATEN.upsample_bilinear2d.default: _ATEN.upsample_bilinear2d.vec,
}
_OF_SHAPES = frozenset(
    {
        getattr(_ATEN, name).default
        for name in (
            "new_ones",
            "new_zeros",
            "new_full",
            "ones_like",
            "zeros_like",
            "full_like",
            "new_empty",
            "empty_like",
        )
    }
)
"""What they make depends on no value."""
_KNOWN = frozenset(
    {_ATEN.rand_like.default, _ATEN.hypot.default, _ATEN._unsafe_view.default, *_ENLARGED.values()}
)
"""Those of a browser's operations that PyTorch does not count to its core."""
_SAME = frozenset({_ATEN.detach.default, _ATEN.lift_fresh.default})
_REWRITTEN: dict[Any, Callable[..., Any]] = {
    _ATEN.silu.default: lambda x: x * x.sigmoid(),
    _ATEN.softplus.default: _softplus,
    _ATEN.t.default: lambda x: x.permute([1, 0] if x.dim() == 2 else [0]),
    _ATEN.transpose.int: _transposed,
    _ATEN.native_batch_norm.default: _normalised,
    _ATEN.split.Tensor: _split,
    _ATEN.floor_divide.default: lambda x, y: torch.div(x, y, rounding_mode="floor"),
    _ATEN.linalg_vector_norm.default: _norm,
    _ATEN.stack.default: lambda xs, dim=0: torch.cat([x.unsqueeze(dim) for x in xs], dim),
    _ATEN.clamp_min.default: lambda x, least: x.clamp(min=least),
    _ATEN.rsub.Scalar: lambda x, y, alpha=1: torch.add(-x * alpha, y),
    _ATEN.lt_.Tensor: _compared_in_place,
    _ATEN.unbind.int: lambda x, dim=0: tuple(x.select(dim, i) for i in range(x.shape[dim])),
}
"""Operations that are made of those that a browser has."""
