"""A folder of codes: shards of safetensors, and one JSON file that says what they are."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from genmod.data.info import DataInfo
from genmod.errors import DataError, FileError, GenmodError, quoted
from genmod.system.files import own_path, parse_json, read_text

__all__ = ["CODES", "CodeFolder", "CodesOf", "Shard", "is_code_folder", "read_code_folder"]

CODES = "codes.json"
"""The file that makes a folder one of codes."""

CodesOf = Literal["means", "draws", "codes"]
"""What the codes are: means of ``q(z|x)``, draws from it where it has no mean, or integers of a codebook."""

_FORMAT = 1
_DECODE = {
    "means": "x are latents z of the model whose weights have the SHA-256 `data.coded_by`: model.decode(x)",
    "draws": "x are latents z of the model whose weights have the SHA-256 `data.coded_by`: model.decode(x)",
    "codes": "x are codes of the model whose weights have the SHA-256 `data.coded_by`, of shape `code_shape`: "
    "model.decode(model.posterior.embed(x.long().reshape(-1, *code_shape)))",
}
_MOST = 2**40


@dataclass(frozen=True)
class Shard:
    """A file of codes.

    Args:
        split: which examples they are of; ``all`` where there are no splits.
        number: of the file in it.
        rows: of the split.
    """

    split: str
    number: int
    rows: range

    def path(self, folder: Path) -> Path:
        """Where it is; no link leads out of the folder."""
        place = () if self.split == "all" else (self.split,)
        return own_path(folder, *place, f"{self.number:06d}.safetensors")


@dataclass(frozen=True)
class CodeFolder:
    """What ``codes.json`` says.

    Args:
        kind: of the codes.
        data: one example as data: its shape, what the codes are standardised by, classes and factors, whose codes they are.
        splits: examples in each; of one split alone it is called ``all``.
        shard: examples in each file but the last.
        beside: further arrays: ``scales``, ``draws``.
        draws: of each example, where there are some.
        normal_posterior: whether ``q(z|x)`` is normal, so that ``x + scales · ε`` are draws.
        scale_of_draws: by which draws are divided, where that is known; means are by ``data.scale``.
        code_shape: shape of the integers of one latent.
        source: what was encoded: names of model and data, seed.
        complete: whether all shards are there, and statistics of the codes.

    Example:
        >>> folder = CodeFolder("means", DataInfo((2,), -math.inf, math.inf), {"train": 5}, shard=2)
        >>> [(shard.number, shard.rows) for shard in folder.shards()]
        [(0, range(0, 2)), (1, range(2, 4)), (2, range(4, 5))]
    """

    kind: CodesOf
    data: DataInfo
    splits: Mapping[str, int]
    shard: int
    beside: tuple[str, ...] = ()
    draws: int = 1
    normal_posterior: bool = False
    scale_of_draws: tuple[float, ...] = ()
    code_shape: tuple[int, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False

    def __post_init__(self) -> None:
        names = set(self.splits)
        if self.kind not in get_args(CodesOf) or not names or names - {"all", "train", "validation", "test"}:
            raise DataError(f"codes of kind {self.kind!r}, of splits {', '.join(names) or 'none'}")
        if set(self.beside) - {"scales", "draws"}:
            raise DataError(f"{', '.join(self.beside)} beside codes")
        counts = [*self.splits.values(), self.shard, self.draws]
        if not all(0 < n < _MOST for n in counts):
            raise DataError(f"numbers of examples or draws: {', '.join(map(str, counts))}")
        scales = self.scale_of_draws
        if scales and (len(scales) != len(self.data.scale) or not all(0 < s < math.inf for s in scales)):
            raise DataError(f"{len(scales)} scales of draws of codes with {len(self.data.scale)}")
        if (self.kind == "codes") != bool(self.code_shape) or (
            self.code_shape and math.prod(self.code_shape) != self.data.size
        ):
            raise DataError(f"codes of shape {self.code_shape} as examples of shape {self.data.shape}")

    def shards(self) -> Iterator[Shard]:
        """The files, split by split."""
        for split, n in self.splits.items():
            for number, start in enumerate(range(0, n, self.shard)):
                yield Shard(split, number, range(start, min(start + self.shard, n)))

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the eyes of people too."""
        return {
            "format": _FORMAT,
            "complete": self.complete,
            "kind": self.kind,
            "decode": _DECODE[self.kind],
            "data": self.data.to_json(),
            "code_shape": list(self.code_shape),
            "beside": list(self.beside),
            "draws": self.draws,
            "normal_posterior": self.normal_posterior,
            "scale_of_draws": list(self.scale_of_draws),
            "splits": dict(self.splits),
            "shard": self.shard,
            "source": dict(self.source),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            DataError, LookupError, TypeError, ValueError, AttributeError: something is missing, or not as it was written.
        """
        return cls(
            kind=plain["kind"],
            data=DataInfo.from_json(plain["data"]),
            splits={str(name): int(n) for name, n in plain["splits"].items()},
            shard=int(plain["shard"]),
            beside=tuple(map(str, plain["beside"])),
            draws=int(plain["draws"]),
            normal_posterior=plain["normal_posterior"] is True,
            scale_of_draws=tuple(map(float, plain["scale_of_draws"])),
            code_shape=tuple(int(n) for n in plain["code_shape"]),
            source=dict(plain["source"]),
            complete=plain["complete"] is True,
        )


def is_code_folder(folder: Path) -> bool:
    """Whether a folder has the description of codes."""
    return (folder / CODES).is_file()


def read_code_folder(folder: Path) -> CodeFolder:
    """What the codes in a folder are.

    Raises:
        FileError: there is no description, or it is damaged, or of a newer version.
    """
    path = own_path(folder, CODES)
    plain = parse_json(read_text(path, "description of codes", links=False), str(path))
    if isinstance(plain, dict) and plain.get("format", _FORMAT) != _FORMAT:
        raise FileError(
            f"{path} has format {plain['format']!r}; this version of genmod reads format {_FORMAT}",
            hint="pip install --upgrade genmod-torch",
        )
    try:
        return CodeFolder.from_json(plain)
    except (GenmodError, AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        why = error.message if isinstance(error, GenmodError) else repr(error)
        raise FileError(
            f"{path} is damaged: {why}",
            hint=f"encode again: genmod encode MODEL -o {quoted(folder)} --overwrite",
        ) from None
