"""ONNX files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from genmod import PluginError
from genmod.plugins.formats._exported import METADATA, ProgramFormat, cannot
from genmod.plugins.formats._program import Program
from genmod.plugins.formats._substitutes import SUBSTITUTES
from genmod.system import write_bytes

__all__ = ["OnnxFormat"]


@final
class OnnxFormat(ProgramFormat):
    """TODO"""

    suffix = ".onnx"
    substitutes = SUBSTITUTES

    def save(self, program: Program, traced: torch.export.ExportedProgram, file: Path, metadata: str) -> None:
        _needed("onnx", "onnxscript")
        try:
            made = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                input_names=[value.name for value in program.inputs],
                output_names=[value.name for value in program.outputs],
            )
            assert made is not None
            proto = made.model_proto
        except Exception as error:
            raise cannot(program, "ONNX lacks some of it", error) from error
        _clean(proto)
        entry = proto.metadata_props.add()
        entry.key, entry.value = METADATA, metadata
        write_bytes(file, proto.SerializeToString(deterministic=True))

    def opened(self, file: Path) -> Callable[[Mapping[str, Tensor]], Sequence[Tensor]]:
        _needed("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        def run(given: Mapping[str, Tensor]) -> Sequence[Tensor]:
            found = session.run(None, {name: x.numpy() for name, x in given.items()})
            return [torch.from_numpy(each) for each in found]

        return run


def _needed(*names: str) -> None:
    """Refuse where a package is missing."""
    from importlib.util import find_spec

    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise PluginError(
            f"format onnx needs {' and '.join(missing)}", hint="pip install 'genmod-torch[export]'"
        )


def _clean(proto: Any) -> None:
    """Leave out where on this machine each operation comes from, and name the size of the batch."""
    batch = ""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
        sizes = value.type.tensor_type.shape.dim
        if sizes and sizes[0].dim_param:
            sizes[0].dim_param = "batch"
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
