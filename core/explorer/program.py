"""A network as a list of operations: plain data, which a browser runs."""

import base64
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Graph"]


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
