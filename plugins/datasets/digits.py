"""Small handwritten digits that come with scikit-learn."""

import gzip
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from genmod import Batch, DataInfo, Dataset, Doc, SplitName, TensorSplit
from genmod.data import shuffled

__all__ = ["Digits"]

_PARTS = {"train": slice(0, 1297), "validation": slice(1297, 1547), "test": slice(1547, 1797)}


class Digits(Dataset):
    """1,797 handwritten digits, 8×8 pixels of 17 grey levels, which are there without a network.

    1,297 for training, 250 for validation and 250 for testing, each class in equal proportion in all three.
    Writers are not kept apart: the file does not name them. A pixel is how many of 4×4 dots are inked, which
    ``counts`` keeps as they are.

    "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak, 1998), the test set, from scikit-learn.

    Example:
        >>> digits = Digits(Path("unused"))
        >>> digits.info.shape, digits.info.levels, len(digits.split("train"))
        ((1, 8, 8), 17, 1297)
    """

    def __init__(
        self,
        root: Path,
        *,
        counts: Annotated[
            bool,
            Doc("values are the numbers of inked dots, 0 to 16, and no grey levels; for count likelihoods"),
        ] = False,
    ) -> None:
        super().__init__(root)
        self.counts = counts

    @property
    def info(self) -> DataInfo:
        classes = tuple("0123456789")
        if self.counts:
            return DataInfo((1, 8, 8), high=16.0, counts=True, classes=classes)
        return DataInfo((1, 8, 8), levels=17, classes=classes)

    def split(self, name: SplitName) -> TensorSplit:
        return TensorSplit(self._all[_PARTS[name]], self.info)

    @cached_property
    def _all(self) -> Batch:
        table = _table()
        images, labels = table[:, :64].astype(np.uint8), table[:, 64].astype(np.int64)
        order = _stratified(labels)
        return Batch(
            torch.from_numpy(images[order].reshape(-1, 1, 8, 8)), labels=torch.from_numpy(labels[order])
        )


@cache
def _table() -> NDArray[np.float64]:
    """``(1797, 65)``: 64 pixels and the label, in scikit-learn's order."""
    # Importing sklearn.datasets takes ten times as long as reading the one file of it that is needed.
    spec = find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            with gzip.open(file, "rt", encoding="ascii") as lines:
                return np.loadtxt(lines, delimiter=",")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return np.column_stack([images, labels])


def _stratified(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fixed order in which every stretch has the classes in proportion; ``(n,)`` → ``(n,)``."""
    order = shuffled(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place[order], kind="stable")]
