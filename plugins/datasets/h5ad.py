"""Counts of genes in cells, from an ``.h5ad`` file."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, final

import torch
from annotated_types import Ge

from genmod import DataError, DataInfo, Dataset, Doc, Split, SplitName
from genmod.data import Matrix, MatrixDataset
from genmod.plugins.datasets._files import locate
from genmod.plugins.datasets._h5ad import categories_in, labels_of, names_of, opened, rows_of

__all__ = ["H5ad"]


@final
class H5ad(Dataset):
    """The cells of an ``.h5ad`` file, with a count for each gene.

    The matrix is ``X`` or a layer; ``layer=raw`` is ``raw/X``. It is sparse by rows (CSR) or dense, and read by batches; a
    sparse one that takes no more than ``in_memory`` bytes is held in memory as it is. It is never dense as a whole.
    Columns of ``obs``, of texts, categories or whole numbers, are the label and the factors, on which a model can be
    conditioned: ``--condition batch``. Without names, factors are the columns of at most 1,000 categories of which none is
    missing, and those of true and false.

    A fixed pseudo-random tenth of the cells is for validation, another for testing; which ones, depends on their names in
    ``obs_names`` and the seed. The names of the genes are kept with the model: from other files it takes its genes, by name.

    Raises:
        DataError: h5py is not installed; the file is damaged; there is no such layer or column, or values are missing in it;
            the matrix is sparse by columns, lacks genes that the model knows, or holds no counts.

    Example:
        >>> import h5py, tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "cells.h5ad"
        >>> with h5py.File(path, "w") as file:
        ...     file["X"] = np.ones((50, 3))
        ...     file["obs/_index"], file["var/_index"] = [f"cell{i}" for i in range(50)], ["CD3E", "CD19", "LYZ"]
        >>> data = H5ad(path.parent, path=path)
        >>> data.info.variables, len(data.split("train"))
        (('CD3E', 'CD19', 'LYZ'), 40)
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("the file, seen from the current or else the data folder")],
        layer: Annotated[str, Doc("name of a layer, or raw; X unless given")] = "",
        label: Annotated[str, Doc("column of obs with the class of each cell; none unless given")] = "",
        factors: Annotated[
            Sequence[str] | None,
            Doc(
                "columns of obs with further properties, such as batch; all categories of few values unless given"
            ),
        ] = None,
        counts: Annotated[
            bool, Doc("values are counts, whole numbers from 0 on; otherwise any real numbers")
        ] = True,
        seed: Annotated[int, Doc("of the choice of cells for validation and testing"), Ge(0)] = 0,
        in_memory: Annotated[int, Doc("bytes up to which a sparse matrix is held in memory"), Ge(0)] = 2**30,
        max_bytes: Annotated[
            int, Doc("how much names, columns of obs and pointers to rows may take in memory, each"), Ge(1)
        ] = 2**32,
    ) -> None:
        super().__init__(root)
        self.path = path
        self.layer = layer
        self.label = label
        self.factors = None if factors is None else tuple(factors)
        self.counts = counts
        self.seed = seed
        self.in_memory = in_memory
        self.max_bytes = max_bytes

    @property
    def info(self) -> DataInfo:
        return self._cells.info

    def split(self, name: SplitName) -> Split:
        return self._cells.split(name)

    def everything(self) -> Split:
        return self._cells.everything()

    def places(self, name: SplitName) -> torch.Tensor:
        return self._cells.places(name)

    @cached_property
    def _cells(self) -> MatrixDataset:
        path, most = locate(self.path, self.root), self.max_bytes
        with opened(path) as file:
            where = f"layers/{self.layer}" if self.layer else "X"
            raw = self.layer == "raw" and "raw" not in file.get("layers", ())
            rows = rows_of(path, file, "raw/X" if raw else where, self.in_memory, most)
            genes = names_of(file, "raw/var" if raw else "var", most)
            cells = names_of(file, "obs", most)
            if rows.shape != (len(cells), len(genes)):
                raise DataError(
                    f"the matrix is {rows.shape}, of {len(cells):,} cells and {len(genes):,} genes"
                )
            n = len(cells)
            factors = categories_in(file, most) if self.factors is None else self.factors
            matrix = Matrix(
                rows,
                str(path),
                tuple(genes),
                cells,
                labels_of(file, self.label, n, most) if self.label else None,
                {name: labels_of(file, name, n, most) for name in factors},
            )
            made = MatrixDataset(matrix, counts=self.counts, seed=self.seed)
            made.known = self.known
            return made
