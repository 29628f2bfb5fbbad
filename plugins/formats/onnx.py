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
    """One part of a model as an ONNX file, which onnxruntime and others compute without genmod and without torch.

    - ``encode``: ``x`` → ``means`` and ``scales`` of q(z|x); ``codes`` and their ``means`` where there is a codebook;
      ``draws`` where no mean is known;
    - ``decode``: ``z`` → ``examples``, the mean of p(x|z);
    - ``reconstruct``: ``x`` → ``examples``, the mean of p(x|z) at the mean of q(z|x);
    - ``sample``: ``noise``, ``uniform`` → ``examples``, the mean of p(x|z), z from p(z) or from the sampler that was fitted;
    - ``score``: ``x``, ``noise``, ``uniform`` → ``log_likelihood``.

    All begin with the batch, of any size. ``x`` and ``examples`` are values as the data have them: from ``low`` to ``high``, of
    a table standardised, NaN where one is missing. ``noise (batch, n)`` are standard normal numbers and ``uniform (batch, m)``
    numbers in [0, 1), of which each example takes its own; a file has those of the two that it draws by. ``context (batch,
    size)`` is what a conditional model is given: 1 for each value that holds, 0 for others, in the order that the file has; and
    the logarithm of an exposure. ``score`` is ``log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x)``, ``z_k ~ q(z|x)``, of ``draws`` K:
    with one draw its mean is the ELBO; nats per unit of the data before they were standardised, as of ``genmod score``. Of
    whole models it is ``log p(x)``.

    The file's metadata has under ``genmod``, as JSON, version, part, inputs and outputs, the names of the context, the data
    with ranges, classes, columns and statistics of standardising, the specification without the dataset, and the checksum of
    the weights. What draws by rejection (gamma, Dirichlet, Poisson, von Mises-Fisher) or along gradients takes numbers that
    cannot be counted beforehand, and is refused where it is drawn.

    Needs onnx and onnxscript, and onnxruntime to compare: ``pip install 'genmod-torch[export]'``.

    Raises:
        UsageError: the model has no such part, draws what cannot be an input, or ONNX lacks some of it.
        UndefinedError: the model has no density, or no prior.
        PluginError: a package is missing.
    """

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
