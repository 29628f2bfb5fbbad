"""Tensors in parts on disk: rows of each in files of safetensors, written and read piece by piece, so that nothing is whole."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.errors import FileError
from genmod.system.files import staged_file
from genmod.system.tensors import FORMAT, header_of

if TYPE_CHECKING:
    from torch import Tensor, dtype

__all__ = ["Shard", "StoredTensor", "read_shards", "write_in_turn", "write_shards"]

_DTYPES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"},
}
"""Names of types in torch and in the files."""


@dataclass(frozen=True)
class Shard:
    """Some rows of a tensor.

    Args:
        rows: of the tensor; a tensor without dimensions is whole.
        first: index of the first of them in the whole tensor.
        whole: shape of the whole tensor.
    """

    rows: "Tensor"
    first: int
    whole: tuple[int, ...]


@dataclass
class StoredTensor:
    """A tensor of which files hold the rows; nothing is read before it is asked for.

    Args:
        shape: of the whole tensor.
        dtype: of its values.
        pieces: of its rows, in order: first row, number of rows, file, and name in that file.
    """

    shape: tuple[int, ...]
    dtype: "dtype"
    pieces: list[tuple[int, int, Path, str]] = field(default_factory=list)

    def rows(self, first: int, last: int) -> "Tensor":
        """The rows from ``first`` to before ``last``, ``(last - first, *shape[1:])``.

        Raises:
            FileError: a file cannot be read any more.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        found = torch.empty((max(0, last - first), *self.shape[1:]), dtype=self.dtype)
        for start, count, path, name in self.pieces:
            a, b = max(first, start), min(last, start + count)
            if a < b:
                try:
                    with safe_open(path, framework="pt") as file:
                        found[a - first : b - first] = file.get_slice(name)[a - start : b - start]
                except (OSError, SafetensorError) as error:
                    raise FileError(f"{path} cannot be read: {error}") from error
        return found

    def whole(self) -> "Tensor":
        """The whole tensor, ``(*shape)``."""
        from safetensors import safe_open

        if self.shape:
            return self.rows(0, self.shape[0])
        _, _, path, name = self.pieces[0]
        with safe_open(path, framework="pt") as file:
            value: Tensor = file.get_tensor(name)
        return value


def write_shards(path: Path, shards: Mapping[str, Shard]) -> None:
    """Write the rows that a process has of some tensors; one tensor at a time is copied.

    Raises:
        FileError: the file cannot be written; an old one is unharmed.
    """
    like = {name: (shard.rows.dtype, tuple(shard.rows.shape)) for name, shard in shards.items()}
    rows = {name: [shard.first, *shard.whole] for name, shard in sorted(shards.items())}
    write_in_turn(path, like, lambda name: shards[name].rows, rows=rows)


def write_in_turn(
    path: Path,
    like: Mapping[str, "tuple[dtype, tuple[int, ...]]"],
    fetch: "Callable[[str], Tensor]",
    **note: Any,
) -> None:
    """Write tensors with a checksum, atomically, as :func:`write_tensors` does, but fetch them one after the other.

    Args:
        path: of the file.
        like: type and shape of each tensor, by name.
        fetch: gives the tensor of a name; it is called once for each, in the order of names.
        **note: further entries of the note in the header, plain data.

    Raises:
        FileError: the file cannot be written; an old one is unharmed.
    """
    import torch

    sizes = {name: kind.itemsize * math.prod(shape) for name, (kind, shape) in like.items()}
    header: dict[str, Any] = {"__metadata__": {}}
    end = 0
    # Values lie at multiples of their size, the widest first.
    for name in sorted(like, key=lambda name: (-like[name][0].itemsize, name)):
        kind, shape = like[name]
        known = _DTYPES[str(kind).removeprefix("torch.")]
        header[name] = {"dtype": known, "shape": list(shape), "data_offsets": [end, end + sizes[name]]}
        end += sizes[name]

    def head(digest: str) -> bytes:
        content = json.dumps({"format": FORMAT, **note, "sha256": digest}, sort_keys=True)
        header["__metadata__"] = {"genmod": content}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    digest, blank = hashlib.sha256(), head("0" * 64)
    with staged_file(path) as temporary, temporary.open("xb") as stream:
        stream.write(blank)
        for name in sorted(like):
            tensor = fetch(name).detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            content = tensor.reshape(-1).view(torch.uint8).numpy().data
            digest.update(content)
            stream.seek(len(blank) + header[name]["data_offsets"][0])
            stream.write(content)
        stream.seek(0)
        # The checksum is as long as the zeros in its place.
        stream.write(head(digest.hexdigest()))


def read_shards(paths: Iterable[Path]) -> dict[str, StoredTensor]:
    """The tensors whose rows lie in some files, of which checksums have been verified; values are not read.

    Raises:
        FileError: a file is damaged, or rows are missing or there twice.
    """
    import torch

    names = {short: getattr(torch, long) for long, short in _DTYPES.items()}
    found: dict[str, StoredTensor] = {}
    path = Path()
    try:
        for path in paths:
            header = header_of(path)
            rows = json.loads(header.pop("__metadata__")["genmod"])["rows"]
            for name, entry in header.items():
                first, *whole = map(int, rows[name])
                shape, kind = tuple(map(int, entry["shape"])), names[entry["dtype"]]
                stored = found.setdefault(name, StoredTensor(tuple(whole), kind))
                if stored.shape != tuple(whole) or stored.dtype != kind or shape[1:] != stored.shape[1:]:
                    raise ValueError(f"{name} has another shape or type than in the file before")
                if shape[:1] != (0,):
                    stored.pieces.append((first, shape[0] if shape else 1, path, name))
        for name, stored in found.items():
            stored.pieces.sort(key=lambda piece: piece[0])
            after = 0
            for first, count, path, _ in stored.pieces:  # noqa: B007
                if first != after:
                    raise ValueError(f"rows of {name} are missing or there twice")
                after = first + count
            if after != (stored.shape[0] if stored.shape else 1):
                raise ValueError(f"rows of {name} are missing or there twice")
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
        raise FileError(f"{path} is damaged: {error}") from None
    return dict(sorted(found.items()))
