"""Tensors on disk: safetensors with a checksum."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.errors import FileError
from genmod.system.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn


__all__ = [
    "FORMAT",
    "check_header",
    "check_tensors",
    "checksum",
    "fingerprint",
    "header_of",
    "precision_of",
    "read_any_tensors",
    "read_float_tensors",
    "read_tensors",
    "shapes_in",
    "write_tensors",
]


FORMAT = 1


_MAX_HEADER = 4_000_000
"""Largest header in bytes, enough for thirty thousand tensors; once parsed, it takes a hundred times this memory."""


_RESTORE = "restore it from a copy, or train again: genmod build --overwrite && genmod train"


def write_tensors(path: Path, tensors: Mapping[str, "Tensor"]) -> None:
    """Write tensors with a checksum, atomically.

    Raises:
        FileError: the file cannot be written; an old file is unharmed.
    """
    from safetensors.torch import save as to_bytes

    # Tied weights share memory, which the format refuses; each name gets its own copy.
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # One metadata key only: the order of several is not deterministic.
    note = json.dumps({"format": FORMAT, "sha256": checksum(own)}, sort_keys=True)
    write_bytes(path, to_bytes(own, metadata={"genmod": note}))


def read_tensors(path: Path, expected: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Read tensors of known names, shapes and types.

    Raises:
        FileError: the file is missing, truncated or damaged, or has other tensors.
    """
    # Parsing an untrusted file may take gigabytes, so its size is checked first.
    most = sum(t.numel() * t.element_size() for t in expected.values()) + 4096 + 512 * len(expected)
    if path.is_file() and path.stat().st_size > most:
        raise FileError(
            f"{path} is damaged: {path.stat().st_size:,} bytes, where at most {most:,} are expected"
        )
    tensors = read_any_tensors(path)
    check_tensors(path, tensors, expected)
    return tensors


def read_any_tensors(path: Path) -> dict[str, "Tensor"]:
    """Read tensors and verify their checksum; only for files whose size was checked before.

    Raises:
        FileError: the file is missing, truncated or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    header_of(path)
    try:
        content = path.read_bytes()
        # The library returns them in a different order each time; all processes need the same order.
        tensors = dict(sorted(from_bytes(content).items()))
        note = _note(content)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(f"{path} is damaged: {error}", hint=_RESTORE) from None
    if note.get("sha256") != checksum(tensors):
        raise FileError(f"{path} is damaged: its checksum does not match its content", hint=_RESTORE)
    return tensors


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file of another program; their values are not read.

    Raises:
        FileError: it is missing or damaged.
    """
    try:
        header = header_of(path)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        if not all(type(n) is int and n >= 0 for shape in shapes.values() for n in shape):
            raise ValueError("a shape is not made of whole numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is damaged: its header has {error!r}") from None
    except FileError as error:
        raise FileError(error.message, hint="get it again from where it came from") from None
    return shapes


def read_float_tensors(path: Path) -> dict[str, "Tensor"]:
    """Read the tensors of another program in single precision; only where :func:`shapes_in` was checked before.

    Raises:
        FileError: it is damaged, or has values that are not finite, or no floating-point numbers.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                if not (tensor.is_floating_point() and tensor.isfinite().all()):
                    raise FileError(f"{path} has values of {name} that are not finite numbers")
                found[name] = tensor.float().clone()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FileError(f"{path} is damaged: {error}", hint="get it again from where it came from") from None
    return found


def check_header(path: Path, expected: Mapping[str, "Tensor"]) -> None:
    """Refuse a file whose header lists other tensors than those of a model, before memory is allocated for the model.

    Args:
        path: the file.
        expected: tensors by name, which may be on the meta device; their types may differ.

    Raises:
        FileError: the file is missing or damaged, or names or shapes differ.
    """
    import torch

    header = header_of(path)
    try:
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        given = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    except (ArithmeticError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FileError(f"{path} is damaged: its header has {error!r}", hint=_RESTORE) from None
    check_tensors(
        path, given, {name: each.to("meta", torch.get_default_dtype()) for name, each in expected.items()}
    )


def header_of(path: Path) -> dict[str, Any]:
    """The header of a file, if it is not too long."""
    if not path.is_file():
        raise FileError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _MAX_HEADER:
                raise ValueError(
                    f"its header has {length:,} bytes, where at most {_MAX_HEADER:,} are allowed"
                )
            header = json.loads(stream.read(length))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged: {error}", hint=_RESTORE) from None
    if not isinstance(header, dict):
        raise FileError(f"{path} is damaged: its header is not a table", hint=_RESTORE)
    return header


def check_tensors(path: Path, tensors: Mapping[str, "Tensor"], expected: Mapping[str, "Tensor"]) -> None:
    """Refuse tensors that are not those of a model.

    Raises:
        FileError: names, shapes or types differ; the message says which.
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


def precision_of(path: Path) -> "dtype | None":
    """The precision of the tensors in a file, float64 after ``model.double()``; the highest if there are several."""
    import torch

    try:
        found = {tensor.get("dtype") for tensor in header_of(path).values()}
    except (FileError, AttributeError, TypeError):
        # The error is raised when the file is read.
        return None
    known = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    return next((dtype for name, dtype in known.items() if name in found), None)


def _note(content: bytes) -> dict[str, Any]:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    note = json.loads(header["__metadata__"]["genmod"])
    if not isinstance(note, dict):
        raise ValueError("its metadata is not a table")
    return note


def fingerprint(model: "nn.Module") -> str:
    """SHA-256 of the weights of a model, equal to the checksum in its file."""
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
