"""Operations of a module as ``torch.export`` finds them, whose import takes as long as that of torch."""

from typing import Any

import torch
from torch import Tensor, nn

from genmod.errors import UndefinedError
from genmod.explorer.operations import name_of, written
from genmod.explorer.program import Graph

__all__ = ["exported", "refusal"]


def exported(module: nn.Module, inputs: tuple[Tensor, ...], what: str) -> Graph:
    """The operations of a module, see :func:`genmod.explorer.graph.trace`.

    Raises:
        UndefinedError: it cannot be traced, or the browser lacks one of its operations.
        NotImplementedError: the mean of a distribution is unknown.
    """
    try:
        program = torch.export.export(module, inputs, strict=False).run_decompositions()
    except NotImplementedError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise refusal(what, f"PyTorch cannot trace it: {type(error).__name__}: {reason}") from error
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
    names = {node: name_of(node.target, node.meta.get("val")) for node in kept}
    unknown = sorted({str(node.target) for node, name in names.items() if name is None})
    if unknown:
        raise refusal(what, f"the page has no operation {', '.join(unknown)}")
    used = [node for node in constants if node is result or not kept_set.isdisjoint(node.users)]
    places = {node: place for place, node in enumerate([*used, *inner, *kept])}
    return Graph(
        inputs=tuple(tuple(tensor.shape) for tensor in inputs),
        constants=tuple(constants[node] for node in used),
        nodes=tuple(
            written(name, node.target, node.args, node.kwargs, places) for node, name in names.items() if name
        ),
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


def refusal(what: str, reason: str) -> UndefinedError:
    """The error of a model that a page cannot run."""
    return UndefinedError(
        f"this model cannot {what} in a page by itself: {reason}",
        hint="explore it while genmod runs, which works for every model: genmod explore DIR",
    )
