"""Programs of PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from genmod.plugins.formats._exported import METADATA, ProgramFormat
from genmod.plugins.formats._program import Program

__all__ = ["Pt2Format"]


@final
class Pt2Format(ProgramFormat):
    """One part of a model as a program of PyTorch, ``torch.export.load(FILE).module()``, which needs torch and no genmod.

    The parts, their inputs and outputs are those of format ``onnx``; inputs are given by position, in the order that the file
    has them. ``extra_files={"genmod": ""}`` of ``torch.export.load`` is filled with what is known of the model, as JSON.

    Raises:
        UsageError: the model has no such part, draws what cannot be an input, or PyTorch cannot trace it.
        UndefinedError: the model has no density, or no prior.
    """

    suffix = ".pt2"

    def save(self, program: Program, traced: torch.export.ExportedProgram, file: Path, metadata: str) -> None:
        torch.export.save(traced, file, extra_files={METADATA: metadata})

    def opened(self, file: Path) -> Callable[[Mapping[str, Tensor]], Sequence[Tensor]]:
        module = torch.export.load(file).module()
        return lambda given: module(*given.values())  # type: ignore[no-any-return]
