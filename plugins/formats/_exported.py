"""A part of a model as one file: what its formats share, from the traced program to the comparison."""

import copy
import json
import logging
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.export.graph_signature import InputKind

import genmod
from genmod import Doc, Format, GenmodError, GivenModel, LatentVariableModel, Split, UsageError
from genmod.distributions import unvalidated
from genmod.plugins.formats._program import Part, Program
from genmod.system import checksum

__all__ = ["METADATA", "ProgramFormat"]

METADATA = "genmod"
"""Under which name a file keeps what is known of the model, as JSON."""

_TALKATIVE = ("onnxscript", "onnx_ir", "torch.onnx")
_TRIED = 3
_SIZES = (1, 3, 7)
"""Batches on which a file is compared; it is written with one of three."""


class ProgramFormat(Format):
    """One part of a model as a file that computes it without genmod.

    Args:
        part: what the file computes.
        draws: of latents, for ``score``.
        noise: whether examples are drawn from the likelihood.
        size: of the pictures.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "latent": 2,
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "bernoulli", "binarize": "dynamic"},
    }
    substitutes: ClassVar[Mapping[Any, Callable[..., Any]]] = {}
    """Functions of torch that the format lacks → the same by others."""

    def __init__(
        self,
        *,
        part: Annotated[Part, Doc("what the file computes")] = "decode",
        draws: Annotated[int, Ge(1), Doc("of q(z|x) for each bound on log p(x), with score")] = 1,
        noise: Annotated[
            bool,
            Doc("draw examples from the likelihood too, instead of its mean; rows of a sample always are"),
        ] = False,
        size: Annotated[
            tuple[Annotated[int, Gt(0)], Annotated[int, Gt(0)]] | None,
            Doc(
                "height and width of the pictures, of a fully convolutional model; by default those it was built for"
            ),
        ] = None,
    ) -> None:
        self.part, self.draws, self.noise, self.size = part, draws, noise, size

    def write(
        self, model: GivenModel, folder: Path, training: Callable[[], Split], seed: int
    ) -> Sequence[str]:
        program = self._program(model)
        file = folder / f"{self.part}{self.suffix}"
        with _quiet():
            self.save(program, _traced(program, self.substitutes), file, _metadata(program))
        sides = {"inputs": program.inputs, "outputs": program.outputs}
        return [
            f"{what}: " + ", ".join(f"{v.name} {('batch', *v.shape)}".replace("'", "") for v in values)
            for what, values in sides.items()
        ]

    def compare(self, model: GivenModel, folder: Path) -> Mapping[str, float]:
        program = self._program(model)
        run = self.opened(folder / f"{self.part}{self.suffix}")
        found = dict.fromkeys((value.name for value in program.outputs), 0.0)
        with torch.no_grad(), unvalidated():
            for size in _SIZES:
                given = program.made_up(size, seed=size)
                for value, ours, theirs in zip(
                    program.outputs, program(*given.values()), run(given), strict=True
                ):
                    found[value.name] = max(found[value.name], _apart(ours, theirs))
        return found

    @abstractmethod
    def save(self, program: Program, traced: Any, file: Path, metadata: str) -> None:
        """Write a traced program, with what is known of the model."""

    @abstractmethod
    def opened(self, file: Path) -> Callable[[Mapping[str, Tensor]], Sequence[Tensor]]:
        """What a file computes: from inputs by name to outputs in their order."""

    def _program(self, model: GivenModel) -> Program:
        whole = cast(LatentVariableModel, model)
        if whole.device.type != "cpu" or whole.dtype.itemsize < 4:
            whole = copy.deepcopy(whole).cpu()
            whole = whole.float() if whole.dtype.itemsize < 4 else whole
        if self.size is not None:
            whole = genmod.resized(whole, (whole.data.shape[0], *self.size))
        with torch.no_grad(), unvalidated():
            return Program(whole, self.part, self.draws, self.noise).eval()


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, in terms of the largest value where that is above 1."""
    a, b = ours.double(), theirs.double()
    alike = (a == b) | (a.isnan() & b.isnan())
    largest = max(1.0, float(torch.where(a.isfinite(), a, 0.0).abs().max()))
    return float(torch.where(alike, 0.0, (a - b).abs()).nan_to_num(torch.inf).max()) / largest


def _traced(program: Program, substitutes: Mapping[Any, Callable[..., Any]]) -> Any:
    """The program as ``torch.export`` has it, for batches of any size.

    Raises:
        UsageError: it cannot be traced.
    """
    given = tuple(program.made_up(_TRIED).values())
    # With a bound: older versions of torch find that without one it is not the largest number that they know.
    batch = torch.export.Dim("batch", max=2**31 - 1)
    program.substitutes = substitutes
    try:
        traced = torch.export.export(
            program, given, dynamic_shapes=(tuple({0: batch} for _ in given),), strict=False
        )
        return _needed_alone(traced)
    except GenmodError:
        raise
    except Exception as error:
        raise cannot(program, "PyTorch cannot trace it", error) from error
    finally:
        program.substitutes = {}


def _needed_alone(traced: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program without weights that it does not use, and without where on this machine its code lies."""
    stored, signature = (InputKind.PARAMETER, InputKind.BUFFER), traced.graph_signature
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)
    nodes = {node.name: node for node in traced.graph.nodes if node.op == "placeholder"}
    for given in list(signature.input_specs):
        if given.kind in stored and not nodes[given.arg.name].users:
            traced.graph.erase_node(nodes[given.arg.name])
            signature.input_specs.remove(given)
            for kept in (traced.state_dict, traced.constants):
                kept.pop(str(given.target), None)
    traced.graph_module.recompile()
    return traced


def cannot(program: Program, why: str, error: Exception) -> UsageError:
    """The refusal of a part, with the reason that another library gives."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return UsageError(
        f"{program.part} of this model cannot be exported: {why}: {type(error).__name__}: {reason[:300]}",
        hint="export another part, such as --part encode, --part decode; or save the model, which genmod.load opens",
    )


def _metadata(program: Program) -> str:
    """What is known of a model and of a part of it, as JSON; nothing of the machine that it was trained on."""
    model = program.model
    plain = model.spec.to_json()
    components = {kind: part for kind, part in plain["components"].items() if kind != "dataset"}
    known = {
        "genmod": genmod.__version__,
        "part": program.part,
        "inputs": [value.to_json() for value in program.inputs],
        "outputs": [value.to_json() for value in program.outputs],
        "context": program.context,
        "draws": program.draws,
        "noise": program.noise,
        "data": model.data.to_json(),
        "spec": {**plain, "components": components},
        "weights": checksum(model.state_dict()),
    }
    return json.dumps(known)


@contextmanager
def _quiet() -> Iterator[None]:
    """Context in which torch and onnxscript say nothing of how they trace and simplify."""
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in _TALKATIVE}
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
