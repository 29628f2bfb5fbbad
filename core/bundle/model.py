"""A model on disk: a directory with ``model.json`` and ``model.safetensors``, and nothing that is code."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genmod.errors import FileError, UndefinedError
from genmod.spec import ModelSpec, parse_json, read_text
from genmod.system.files import staged_directory, write_bytes, write_json

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genmod.data.dataset import DataInfo
    from genmod.model.latent_variable import LatentVariableModel

__all__ = [
    "check_destination",
    "check_tensors",
    "checksum",
    "fingerprint",
    "is_double",
    "is_model",
    "is_trained",
    "load",
    "read_any_tensors",
    "read_spec",
    "read_tensors",
    "save",
    "write_tensors",
]

FORMAT = 1
_MAX_HEADER = 25_000_000
_FILES = {"best": "model.safetensors", "last": "last.safetensors"}


def is_model(directory: Path) -> bool:
    """Whether genmod wrote this directory."""
    return (directory / "model.json").is_file()


def is_trained(directory: Path) -> bool:
    """Whether training has begun in this directory."""
    return is_model(directory) and (directory / "run.json").exists()


def save(model: "LatentVariableModel", directory: Path | str, *, overwrite: bool = False) -> Path:
    """Write a model directory in one step.

    Args:
        model: what to write.
        directory: where; made if need be. An untrained model there is replaced.
        overwrite: replace a trained model too.

    Returns:
        The directory.

    Raises:
        FileError: there is a trained model, or something that is not genmod's; or it cannot be written.

    Example:
        >>> import genmod, tempfile
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> directory = genmod.save(model, tempfile.mkdtemp() + "/model")
        >>> genmod.load(directory).latent_shape
        (2,)
    """
    directory = Path(directory)
    check_destination(directory, overwrite=overwrite)
    with staged_directory(directory) as stage:
        write_json(
            stage / "model.json", {"format": FORMAT, **model.spec.to_json(), "data": model.data.to_json()}
        )
        write_tensors(stage / _FILES["best"], model.state_dict())
        _save_sampler(model, stage)
    return directory


def _save_sampler(model: "LatentVariableModel", directory: Path) -> None:
    """The model's sampler too; not one of other weights, which nobody could use."""
    from genmod.bundle.sampler import write_sampler

    try:
        sampler = model.sampler
    except UndefinedError:
        return
    if sampler is not None:
        write_sampler(sampler, directory)


def check_destination(directory: Path, *, overwrite: bool) -> None:
    """Refuse to write a model over what must not be lost.

    Raises:
        FileError: a trained model without ``overwrite``, or anything that is not a model directory.
    """
    if not directory.exists() and not directory.is_symlink():
        return
    if (
        not directory.is_dir()
        or directory.is_symlink()
        or (not is_model(directory) and any(directory.iterdir()))
    ):
        raise FileError(
            f"{directory} exists and is no genmod model; it is left alone",
            hint="choose another place with -o DIR",
        )
    if is_trained(directory) and not overwrite:
        raise FileError(
            f"{directory} holds a trained model",
            hint="replace it with --overwrite, or choose another place with -o DIR",
        )


def read_spec(directory: Path | str) -> tuple[ModelSpec, "DataInfo"]:
    """The specification and the data description of a model directory.

    Raises:
        FileError: there is none, or it is damaged; says what is wrong with which file.
    """
    from genmod.data.dataset import DataInfo
    from genmod.errors import DataError

    directory = Path(directory)
    path = directory / "model.json"
    if not directory.exists():
        raise FileError(
            f"there is no model directory {directory}", hint=f"make one: genmod build -o {directory}"
        )
    if not path.exists():
        raise FileError(f"{directory} has no model.json", hint=f"make a model: genmod build -o {directory}")
    plain = parse_json(read_text(path, "model description"), str(path))
    if not isinstance(plain, dict) or "format" not in plain:
        raise FileError(f"{path} is damaged or not a genmod model: it has no format number")
    if plain["format"] != FORMAT:
        raise FileError(
            f"{path} has format {plain['format']!r}; this version of genmod reads format {FORMAT}",
            hint="pip install --upgrade genmod-torch",
        )
    spec = ModelSpec.from_json(plain, where=str(path))
    try:
        return spec, DataInfo.from_json(plain.get("data", {}))
    except DataError as error:
        raise FileError(f"{path} is damaged: {error.message}") from None


def load(
    directory: Path | str, *, weights: Literal["best", "last"] = "best", device: str = "cpu"
) -> "LatentVariableModel":
    """The model in a directory, in evaluation mode.

    Nothing in the directory is executed: components come from installed plugins, by name. A sampler that was fitted
    is read when it is first used.

    Args:
        directory: what ``genmod build`` or :func:`save` wrote.
        weights: those with the best validation loss, or those of the last step.
        device: where to put them.

    Raises:
        FileError: a file is missing or damaged; says what is wrong with which file.
        PluginError: a component's plugin is not installed; the hint is the line that installs it.
    """
    from genmod.bundle.sampler import has_sampler, read_sampler
    from genmod.model.assembly import assemble
    from genmod.nn.weights import weights_follow
    from genmod.registry.lookup import current_registry

    directory = Path(directory)
    spec, data = read_spec(directory)
    with weights_follow():
        model = assemble(spec, data)
    path = directory / _FILES[weights]
    if weights == "last" and not path.exists():
        path = directory / _FILES["best"]
    if is_double(path):
        model = model.double()
    tensors = read_tensors(path, model.state_dict())
    model.load_state_dict(tensors)
    if has_sampler(directory):
        model.attach_sampler(
            partial(
                read_sampler,
                directory.absolute(),
                weights=checksum(tensors),
                latent_shape=model.latent_shape,
                device=device,
                registry=current_registry(),
            )
        )
    return model.to(device).eval()


def write_tensors(path: Path, tensors: Mapping[str, "Tensor"]) -> None:
    """Write tensors with a checksum, in one step.

    Raises:
        FileError: it cannot be written; an old file there is unharmed.
    """
    from safetensors.torch import save as to_bytes

    # Tied weights share memory, which the format refuses; each name gets its own copy.
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # One metadata key only: the order of several is not deterministic.
    note = json.dumps({"format": FORMAT, "sha256": checksum(own)}, sort_keys=True)
    write_bytes(path, to_bytes(own, metadata={"genmod": note}))


def read_tensors(path: Path, expected: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Read tensors of known names, shapes and types; all of them or none.

    Raises:
        FileError: missing, truncated, damaged, or not the expected tensors.
    """
    # A file of a stranger may be small and still cost gigabytes once parsed, so its size comes first.
    most = sum(t.numel() * t.element_size() for t in expected.values()) + 4096 + 512 * len(expected)
    if path.is_file() and path.stat().st_size > most:
        raise FileError(
            f"{path} is damaged: {path.stat().st_size:,} bytes, where at most {most:,} are expected"
        )
    tensors = read_any_tensors(path)
    check_tensors(path, tensors, expected)
    return tensors


def read_any_tensors(path: Path) -> dict[str, "Tensor"]:
    """Read tensors and verify their checksum; only of files that are known to be ours.

    Raises:
        FileError: missing, truncated or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    if not path.is_file():
        raise FileError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        content = path.read_bytes()
        # The library gives them in another order each time; processes must agree on one.
        tensors = dict(sorted(from_bytes(content).items()))
        note = _note(content)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(f"{path} is damaged: {error}", hint=_RESTORE) from None
    if note.get("sha256") != checksum(tensors):
        raise FileError(f"{path} is damaged: its checksum does not match its content", hint=_RESTORE)
    return tensors


def check_tensors(path: Path, tensors: Mapping[str, "Tensor"], expected: Mapping[str, "Tensor"]) -> None:
    """Refuse tensors that are not those of a model.

    Raises:
        FileError: names, shapes or types differ; says which.
    """
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        what = [f"lacks {', '.join(missing[:3])}"] * bool(missing) + [
            f"has unknown {', '.join(extra[:3])}"
        ] * bool(extra)
        raise FileError(f"{path} does not belong to this model: it {' and '.join(what)}")
    for name, tensor in expected.items():
        given = tensors[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            raise FileError(
                f"{path} does not belong to this model: {name} is {given.dtype} {tuple(given.shape)}, "
                f"expected {tensor.dtype} {tuple(tensor.shape)}"
            )


def is_double(path: Path) -> bool:
    """Whether a file holds numbers of double precision, as a model has after ``model.double()``."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(min(int.from_bytes(stream.read(8), "little"), _MAX_HEADER)))
        return any(tensor.get("dtype") == "F64" for tensor in header.values())
    except (OSError, ValueError, AttributeError, RecursionError):
        # What is wrong with the file is said where it is read.
        return False


_RESTORE = "restore it from a copy, or train again: genmod build --overwrite && genmod train"


def _note(content: bytes) -> dict[str, Any]:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    note = json.loads(header["__metadata__"]["genmod"])
    if not isinstance(note, dict):
        raise ValueError("its note is no table")
    return note


def fingerprint(model: "nn.Module") -> str:
    """SHA-256 of the weights of a model, as its file has it."""
    return checksum(model.state_dict())


def checksum(tensors: Mapping[str, "Tensor"]) -> str:
    """SHA-256 of names, types, shapes and values of tensors."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
