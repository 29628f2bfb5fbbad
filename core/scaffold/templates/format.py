"""Models as files that need nothing but numpy."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from genmod import FileError, Format, GivenModel, Incoming, Split, UsageError

__all__ = ["TemplateFormat"]

_KINDS = ("encoder", "posterior", "network")


@final
class TemplateFormat(Format):
    """``weights.npz``, the weights of encoder, posterior and network by name, and ``parts.json``, what these are.

    Raises:
        UsageError: the model is conditional.
    """

    example: ClassVar[Mapping[str, Any]] = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2}
    reads = True

    def write(
        self, model: GivenModel, folder: Path, training: Callable[[], Split], seed: int
    ) -> Sequence[str]:
        if model.spec.condition:
            raise UsageError(
                "this format has no place for the conditions of a model", hint="build one without --condition"
            )
        parts = {
            kind: {"name": part.name, **part.options}
            for kind, part in model.spec.components.items()
            if kind in _KINDS
        }
        about = {"parts": parts, "latent": model.spec.latent, "shape": model.data.shape}
        (folder / "parts.json").write_bytes(json.dumps(about).encode())
        weights = {kind: getattr(model, kind).state_dict() for kind in parts}
        arrays = {
            f"{kind}.{name}": tensor.cpu().numpy()
            for kind, own in weights.items()
            for name, tensor in own.items()
        }
        np.savez(folder / "weights.npz", **arrays)
        return [f"{len(arrays)} arrays"]

    def read(self, folder: Path) -> Incoming:
        try:
            about = json.loads((folder / "parts.json").read_text(encoding="utf-8"))
            return Incoming(
                about["parts"],
                tuple(about["latent"]),
                weights=lambda model: _arrays(folder / "weights.npz", model, about["parts"]),
                recipe="vae",
                others={},
                shape=tuple(about["shape"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(f"there is no model in {folder}: {error}") from None


def _arrays(path: Path, model: Any, kinds: Collection[str]) -> dict[str, Tensor]:
    """The arrays of a file, which must be those of some parts of a model."""
    wanted = {
        name: tensor.shape for name, tensor in model.state_dict().items() if name.partition(".")[0] in kinds
    }
    try:
        # Without pickle, which would execute what is in the file.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise FileError(f"{path} is damaged: {error}") from None
    if {name: tensor.shape for name, tensor in found.items()} != wanted:
        raise FileError(f"{path} has other arrays than the model")
    return found
