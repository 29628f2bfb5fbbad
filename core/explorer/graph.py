"""A network as a list of operations that a browser can run, traced by PyTorch."""

import torch
from torch import Tensor, nn

from genmod.explorer.exported import exported, refusal
from genmod.explorer.program import Graph
from genmod.explorer.recorded import recorded
from genmod.explorer.typical import typical
from genmod.figures.views import evaluating
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["Graph", "decoder_graph", "encoder_graph", "trace"]


class _Decode(nn.Module):
    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return typical(self.model.decode(z, self.model.with_exposure(context, len(z))), self.model.data)


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
        return recorded(module, inputs) or exported(module, inputs, what)
    except NotImplementedError as error:
        raise refusal(what, "the mean of its distribution is not known") from error
