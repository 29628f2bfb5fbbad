"""Codes of a model as data: the shards that ``genmod encode`` writes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genmod import Batch, DataError, DataInfo, Split, SplitName
from genmod.data import read_code_folder
from genmod.plugins.datasets._rows import JoinedRows, RowFile, safetensors_rows
from genmod.system import seed_for

__all__ = ["CodeRows", "CodeShards"]


@final
class CodeShards:
    """A folder of codes, opened.

    Args:
        place: the folder.
        wanted: ``means`` or ``draws``; None for what there is, means first.

    Raises:
        DataError: encoding has not ended, or there are no such codes.
    """

    def __init__(self, place: Path, wanted: Literal["means", "draws"] | None) -> None:
        self.place, self.folder = place, read_code_folder(place)
        folder = self.folder
        if not folder.complete:
            raise DataError(
                f"the codes in {place} are not complete",
                hint="type the same genmod encode again: it goes on where it was stopped",
            )
        if folder.kind == "codes" and wanted is not None:
            raise DataError(
                f"the codes in {place} are integers of a codebook, which have no {wanted}",
                hint="leave -s dataset.codes out",
            )
        if folder.kind == "draws" and wanted == "means":
            raise DataError(
                f"the codes in {place} are draws of a posterior without a known mean",
                hint="-s dataset.codes=draws, or leave it out",
            )
        self.draws_of: Literal["x", "draws", "scales"] = "x"
        if folder.kind == "means" and wanted == "draws":
            if "draws" in folder.beside:
                self.draws_of = "draws"
            elif "scales" in folder.beside and folder.normal_posterior:
                self.draws_of = "scales"
            else:
                more = "scales" if folder.normal_posterior else "draws --draws 10"
                raise DataError(
                    f"{place} has means alone, and no way to draw from q(z|x)",
                    hint=f"encode again: genmod encode MODEL --with {more} -o FOLDER/",
                )

    @cached_property
    def info(self) -> DataInfo:
        """What a model of these codes must know."""
        data = self.folder.data
        if self.draws_of == "x":
            return data
        return replace(data, scale=self.folder.scale_of_draws or data.scale)

    @cached_property
    def files(self) -> dict[SplitName, list[RowFile]]:
        """The codes of each split; those of a file without splits are of training.

        Raises:
            DataError: a file is missing, damaged, or not as ``codes.json`` says.
        """
        found: dict[SplitName, list[RowFile]] = {}
        for shard in self.folder.shards():
            name: Any = "train" if shard.split == "all" else shard.split
            file = self.beside(shard.path(self.place), "x", self.info.shape)
            if file is None or len(file) != len(shard.rows):
                raise DataError(
                    f"{shard.path(self.place)} has {len(file) if file else 'no'} codes, and {len(shard.rows)} are expected",
                    hint="type the same genmod encode again: it writes what is damaged anew",
                )
            found.setdefault(name, []).append(file)
        if "train" not in found:
            raise DataError(f"the codes in {self.place} have no training split", hint="encode the data again")
        return found

    def beside(self, path: Path, name: str, shape: tuple[int, ...]) -> RowFile | None:
        """One of the tensors in a file, each row of a shape; None where it is not there."""
        if not path.is_file():
            raise DataError(
                f"{path} is missing", hint="type the same genmod encode again: it writes what is missing"
            )
        file = safetensors_rows(path, name)
        whole = name in ("labels", "factors") or (name == "x" and self.folder.kind == "codes")
        if file is not None and (file.shape[1:] != shape or file.dtype.kind not in ("iu" if whole else "f")):
            raise DataError(f"{path} has {name} of {file.dtype} {file.shape[1:]}, where {shape} is expected")
        return file


@final
class CodeRows(Split):
    """Standardised codes, or integers of a codebook.

    Args:
        codes: the folder.
        files: of the codes.
        places: which of them; None for all.
        most: bytes up to which they are held in memory.
    """

    def __init__(
        self, codes: CodeShards, files: Sequence[RowFile], places: NDArray[np.int64] | None, most: int
    ) -> None:
        self.info: DataInfo = codes.info
        self._of, self._most = codes.draws_of, most
        self.varies = self._of != "x"
        draws = codes.folder.draws
        shapes = {
            "x": self.info.shape,
            "labels": (),
            "factors": (len(self.info.factors),),
            "scales": self.info.shape,
        }
        shapes["draws"] = (*([draws] if draws > 1 else []), *self.info.shape)
        wanted = ["x", *["labels"] * bool(self.info.classes), *["factors"] * bool(self.info.factors)]
        self._rows: dict[str, JoinedRows] = {}
        for name in [*wanted, *[self._of] * self.varies]:
            found = [codes.beside(file.path, name, shapes[name]) for file in files]
            there = [
                each
                for each, file in zip(found, files, strict=True)
                if each is not None and len(each) == len(file)
            ]
            if len(there) == len(files):
                self._rows[name] = JoinedRows(there, places)
            elif name == self._of or any(each is not None for each in found):
                raise DataError(f"some files in {codes.place} have no {name}, or of other examples")
        self._several = draws > 1

    def __len__(self) -> int:
        return len(self._rows["x"])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._batch(indices, 0, "codes")

    def varied(self, indices: Sequence[int], *, seed: int, step: int) -> Batch:
        return self._batch(indices, seed, f"codes/{step}")

    def in_memory(self) -> Batch | None:
        size = sum(rows.nbytes for rows in self._rows.values())
        return self.__getitems__(range(len(self))) if size <= self._most else None

    def _batch(self, indices: Sequence[int], seed: int, stream: str) -> Batch:
        read = {name: torch.from_numpy(rows.read(indices)) for name, rows in self._rows.items()}
        labels, factors = (read[name].long() if name in read else None for name in ("labels", "factors"))
        sizes = torch.tensor([factor.size for factor in self.info.factors])
        for name, each, most in (("labels", labels, len(self.info.classes)), ("factors", factors, sizes)):
            if each is not None and len(each) and bool(((each < 0) | (each >= most)).any()):
                raise DataError(
                    f"{self._rows['x'].files[0].path.parent} has {name} beyond those in codes.json"
                )
        x = read["x"]
        if self.varies:
            x = self._drawn(read, [seed_for(seed, stream, int(i)) for i in indices])
        if self.info.scale:
            shift, scale = self.info.beside(self.info.shift), self.info.beside(self.info.scale)
            x = ((x.double() - shift) / scale).float()
        return Batch(x, labels, factors)

    def _drawn(self, read: dict[str, Tensor], seeds: list[int]) -> Tensor:
        """A draw of the posterior of each example, by its own seed."""
        generator, found = torch.Generator(), read["x"].clone() if self._of == "scales" else read["draws"]
        if self._of == "draws" and not self._several:
            return found
        chosen = []
        for i, seed in enumerate(seeds):
            generator.manual_seed(seed)
            if self._of == "scales":
                noise = torch.randn(self.info.shape, generator=generator, dtype=found.dtype)
                chosen.append(found[i] + read["scales"][i] * noise)
            else:
                chosen.append(found[i, int(torch.randint(found.shape[1], (), generator=generator))])
        return torch.stack(chosen) if chosen else found.new_empty(0, *self.info.shape)
