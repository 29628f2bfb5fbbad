"""A network as a list of operations that a browser can run, traced by PyTorch."""

import base64
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genmod.errors import UndefinedError
from genmod.figures.views import evaluating
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["OPERATIONS", "Graph", "decoder_graph", "encoder_graph", "trace"]

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


@dataclass(frozen=True)
class Graph:
    """Operations in the order of their execution.

    Values are numbered: first the constants, then the inputs, then the result of each operation.

    Args:
        inputs: shape of each input.
        constants: weights, and values that depend on them alone.
        nodes: name, arguments and keyword-only options of each operation.
        output: number of the value that is the result.
    """

    inputs: tuple[tuple[int, ...], ...]
    constants: tuple[Tensor, ...]
    nodes: tuple[tuple[Any, ...], ...]
    output: int

    @property
    def size(self) -> int:
        """Number of values in the constants."""
        return sum(constant.numel() for constant in self.constants)

    def to_json(self, *, half: bool = False) -> dict[str, Any]:
        """Plain data, all constants in one text of base64.

        Args:
            half: numbers of 16 bits instead of 32.
        """
        offsets = [0]
        for constant in self.constants:
            offsets.append(offsets[-1] + constant.numel())
        kind = torch.float16 if half else torch.float32
        flat = torch.cat([torch.zeros(0), *(c.detach().cpu().float().flatten() for c in self.constants)])
        return {
            "inputs": [list(shape) for shape in self.inputs],
            "constants": [
                {"shape": list(constant.shape), "offset": offset}
                for constant, offset in zip(self.constants, offsets[:-1], strict=True)
            ],
            "nodes": [list(node) for node in self.nodes],
            "output": self.output,
            "half": half,
            "weights": base64.b64encode(
                flat.to(kind).numpy().astype(f"<f{kind.itemsize}").tobytes()
            ).decode(),
        }


class _Decode(nn.Module):
    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        mean: Tensor = self.model.decode(z, self.model.with_exposure(context, len(z))).mean
        return mean


class _Encode(_Decode):
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        mean: Tensor = self.model.encode(self.model.observe(x), context).mean
        return mean


def decoder_graph(model: LatentVariableModel) -> Graph:
    """``z (1, *latent_shape), context (1, size)`` → the mean of ``p(x|z)``, ``(1, *data.shape)``.

    Raises:
        UndefinedError: the browser lacks some of its operations; names all of them.

    Example:
        >>> import genmod
        >>> graph = decoder_graph(genmod.build(encoder="mlp", latent=2))
        >>> graph.inputs, graph.nodes[-1][0]
        (((1, 2),), 'sigmoid')
    """
    return _traced(model, _Decode(model), model.latent_shape, "decode")


def encoder_graph(model: LatentVariableModel) -> Graph:
    """``x (1, *data.shape), context (1, size)`` → the mean of ``q(z|x)``, ``(1, *latent_shape)``.

    Raises:
        UndefinedError: the browser lacks some of its operations, or the mean is unknown.
    """
    return _traced(model, _Encode(model), model.data.shape, "encode")


def _traced(model: LatentVariableModel, path: nn.Module, shape: tuple[int, ...], what: str) -> Graph:
    size = 0 if model.conditions is None else model.conditions.size
    inputs = [torch.full((1, *shape), 0.25, dtype=model.dtype, device=model.device)]
    if size:
        inputs.append(torch.zeros(1, size, dtype=model.dtype, device=model.device))
    with evaluating(model, 0):
        return trace(path, tuple(inputs), what)


def trace(module: nn.Module, inputs: tuple[Tensor, ...], what: str = "run") -> Graph:
    """The core ATen operations of a module for inputs of these shapes; those that need no input are evaluated here.

    Args:
        module: in evaluation mode, with one tensor as its result.
        inputs: examples of its inputs.
        what: purpose of the module, for messages.

    Raises:
        UndefinedError: it cannot be traced, or the browser lacks one of its operations.

    Example:
        >>> graph = trace(nn.Linear(3, 2), (torch.zeros(1, 3),))
        >>> [node[0] for node in graph.nodes], [tuple(c.shape) for c in graph.constants]
        (['addmm'], [(2,), (3, 2)])
    """
    try:
        program = torch.export.export(module, inputs, strict=False).run_decompositions()
    except NotImplementedError as error:
        raise _refusal(what, "the mean of its distribution is not known") from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise _refusal(what, f"PyTorch cannot trace it: {type(error).__name__}: {reason}") from error
    constants, inner = _evaluated(program)
    signature = program.graph_signature
    result = next(node for node in program.graph.nodes if node.op == "output").args[0][
        len(signature.output_specs) - 1
    ]
    needed = _needed(result)
    kept = [
        node for node in program.graph.nodes if node in needed and node not in constants and node not in inner
    ]
    kept_set = set(kept)
    unknown = sorted({str(node.target) for node in kept if _name(node) is None})
    if unknown:
        raise _refusal(what, f"the page has no operation {', '.join(unknown)}")
    used = [node for node in constants if node is result or not kept_set.isdisjoint(node.users)]
    places = {node: place for place, node in enumerate([*used, *inner, *kept])}
    return Graph(
        inputs=tuple(tuple(tensor.shape) for tensor in inputs),
        constants=tuple(constants[node] for node in used),
        nodes=tuple(_written(node, places) for node in kept),
        output=places[result],
    )


def _needed(result: Any) -> set[Any]:
    """A node and all that it depends on."""
    found, left = {result}, [result]
    while left:
        new = [source for source in left.pop().all_input_nodes if source not in found]
        found.update(new)
        left += new
    return found


def _evaluated(program: Any) -> tuple[dict[Any, Any], list[Any]]:
    """The value of every node that depends on no input, and the nodes that are the inputs."""
    signature = program.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    values: dict[Any, Any] = {}
    inputs = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in stored:
                name = stored[node.name]
                values[node] = program.state_dict.get(name, program.constants.get(name))
            elif node.name in lifted:
                values[node] = program.constants[lifted[node.name]]
            else:
                inputs.append(node)
        elif node.op == "call_function" and all(source in values for source in node.all_input_nodes):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*args, **kwargs)
    return values, inputs


def _name(node: Any) -> str | None:
    """The name of an operation in the browser; None where it lacks it."""
    if node.target is operator.getitem:
        return "getitem"
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return None
    name = node.target._schema.name.partition("::")[2]
    values = node.meta.get("val")
    if name in _OF_TRUTH_VALUES and isinstance(values, Tensor) and values.dtype == torch.bool:
        return _OF_TRUTH_VALUES[name]
    if name not in OPERATIONS or (name in _ONE_DIMENSION and node.target._overloadname != "dim"):
        return None
    return name


def _written(node: Any, places: Mapping[Any, int]) -> tuple[Any, ...]:
    name = _name(node)
    if name == "getitem":
        return (name, [_plain(arg, places) for arg in node.args])
    positional, options = [], {}
    for i, argument in enumerate(node.target._schema.arguments):
        value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        if not argument.kwarg_only:
            positional.append(_plain(value, places))
        elif value is not None and (argument.name in _KEPT_OPTIONS or name == "_to_copy"):
            options[argument.name] = _plain(value, places)
    return (name, positional, options) if options else (name, positional)


def _plain(value: Any, places: Mapping[Any, int]) -> Any:
    if isinstance(value, torch.fx.Node):
        return {"at": places[value]}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item, places) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value).removeprefix("torch.")


def _refusal(what: str, reason: str) -> UndefinedError:
    return UndefinedError(
        f"this model cannot {what} in a page by itself: {reason}",
        hint="explore it while genmod runs, which works for every model: genmod explore DIR",
    )
