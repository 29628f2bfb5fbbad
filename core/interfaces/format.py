"""Formats: models written for another library, and models of another library read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from genmod.data.dataset import Split
from genmod.errors import UndefinedError
from genmod.interfaces.given import GivenModel
from genmod.system.explained import explained

__all__ = ["Format", "Incoming"]


@dataclass(frozen=True)
class Incoming:
    """A model of another library in terms of genmod's parts.

    Args:
        components: kind → table ``{"name": …, option: value}`` of each part whose weights are there.
        latent: shape of the latents, as a specification has it.
        weights: given a model that was built so, which may be on the meta device, returns tensors by the names of its
            ``state_dict``: all parameters of these parts, and buffers where they are known. Where the folder has others, it
            raises FileError before they are read.
        recipe: of the parts that are not there, unless another is named.
        others: kind → table of parts without weights of there that what it has goes with, unless others are named: a decoder
            whose mean is the output of the network, say.
        shape: of the data; None stands for any length.
    """

    components: Mapping[str, Mapping[str, Any]]
    latent: tuple[int, ...]
    weights: Callable[[Any], Mapping[str, Tensor]]
    recipe: str
    others: Mapping[str, Mapping[str, Any]]
    shape: tuple[int | None, ...]


@explained
class Format(ABC):
    """Writes models for another library; some formats read models of that library, too.

    The laws: it writes into the folder alone; the same model, data and seed give the same files, bit for bit; neither the model
    nor the global random states change; what it cannot write is refused, with what to choose instead. Where it reads, a
    model that was written and read is the same model: the same weights and the same outputs. A folder that has no such
    model, or a damaged one, is refused. Nothing in a folder is executed.

    Options say how a model is written.
    """

    example: ClassVar[Mapping[str, Any]]
    """A small specification of a model that it writes, as a TOML file has it, on which the laws are checked."""

    reads: ClassVar[bool] = False
    """Whether it has :meth:`read`."""

    suffix: ClassVar[str] = ""
    """Of the name, where it writes one file, such as ``.onnx``; empty where it writes a folder."""

    @abstractmethod
    def write(
        self, model: GivenModel, folder: Path, training: Callable[[], Split], seed: int
    ) -> Sequence[str]:
        """Write a model into an empty folder.

        Args:
            model: in evaluation mode.
            folder: empty.
            training: gives the training split, to measure what the other library wants to know; it raises GenmodError where
                the data are not at hand.
            seed: of everything that is drawn.

        Returns:
            What users should know, a line each: what was measured, and what could not be written.

        Raises:
            UsageError: it cannot write this model.
        """

    def compare(self, model: GivenModel, folder: Path) -> Mapping[str, float]:
        """Run what was written, and compare it with the model.

        Args:
            model: in evaluation mode, the one that was written.
            folder: in which :meth:`write` wrote.

        Returns:
            Name of each output → the largest difference, absolute where values are below 1 and relative above.

        Raises:
            PluginError: what it is run with is not installed.
        """
        raise UndefinedError(f"what {type(self).__name__} writes is not run here", hint="leave out --check")

    def read(self, folder: Path) -> Incoming:
        """The model in a folder; its weights are not read yet.

        Raises:
            FileError: there is none, or it is damaged.
            UsageError: it has what genmod's parts have not.
        """
        raise NotImplementedError(f"{type(self).__name__} declares reads = {self.reads}, and has no read")
