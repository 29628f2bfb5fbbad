"""Operations that a browser knows, and how a call of one is written for it."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["OPERATIONS", "name_of", "written"]

_NAMES = """
_adaptive_avg_pool2d _log_softmax _native_batch_norm_legit_no_training _softmax _to_copy _unsafe_view abs
acos acosh add addmm alias amax amin any argmax argmin asin asinh atan atan2 atanh avg_pool2d bmm cat
ceil clamp clone constant_pad_nd convolution cos cosh cumsum div elu embedding eq erf exp expand expm1
flip floor fmod full full_like ge gelu gt hardtanh hypot index_select isinf isnan le leaky_relu log log10
log1p log2 logical_and logical_not logical_or logical_xor lt max maximum mean min minimum mm mul
native_group_norm native_layer_norm ne neg permute pow prod rand_like reciprocal relu remainder repeat
round rsqrt scalar_tensor select sigmoid sign sin sinh slice split_with_sizes sqrt squeeze sub sum tan
tanh trunc unsqueeze upsample_bilinear2d upsample_nearest2d var view where
"""
OPERATIONS = frozenset(_NAMES.split())
"""The core ATen operations of ``static/network.js``, by their names there."""

_OF_TRUTH_VALUES = {f"bitwise_{name}": f"logical_{name}" for name in ("and", "not", "or", "xor")}
_ONE_DIMENSION = frozenset({"max", "min"})
_KEPT_OPTIONS = frozenset({"alpha", "approximate", "beta", "correction", "keepdim", "rounding_mode"})


def name_of(target: Any, result: Any) -> str | None:
    """The name of an operation in the browser; None where it lacks it.

    Args:
        target: the function that PyTorch calls.
        result: what it gives, or an example of that.
    """
    if target is operator.getitem:
        return "getitem"
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return None
    name = target._schema.name.partition("::")[2]
    if name in _OF_TRUTH_VALUES and isinstance(result, Tensor) and result.dtype == torch.bool:
        return _OF_TRUTH_VALUES[name]
    if name not in OPERATIONS or (name in _ONE_DIMENSION and target._overloadname != "dim"):
        return None
    return name


def written(
    name: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], places: Mapping[Any, int]
) -> tuple[Any, ...]:
    """A call as plain data: its name, its arguments in their order, and the options that change its result.

    Args:
        name: of the operation in the browser.
        target: the function that PyTorch calls.
        args: arguments by position.
        kwargs: arguments by name.
        places: number of each value that may be an argument.
    """
    if name == "getitem":
        return (name, [_plain(arg, places) for arg in args])
    positional, options = [], {}
    for i, argument in enumerate(target._schema.arguments):
        value = args[i] if i < len(args) else kwargs.get(argument.name, argument.default_value)
        if not argument.kwarg_only:
            positional.append(_plain(value, places))
        elif value is not None and (argument.name in _KEPT_OPTIONS or name == "_to_copy"):
            options[argument.name] = _plain(value, places)
    return (name, positional, options) if options else (name, positional)


def _plain(value: Any, places: Mapping[Any, int]) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item, places) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"at": places[value]} if value in places else str(value).removeprefix("torch.")
