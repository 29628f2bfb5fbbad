"""The codes that a sampler is fitted to: of data that are encoded for it, or of a folder where they were encoded before."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genmod.data.code_folder import is_code_folder
from genmod.data.dataset import Split
from genmod.errors import DataError, UsageError
from genmod.interfaces.sampler import Codes
from genmod.model.assembly import open_dataset
from genmod.model.encode import coded_batches
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import data_for
from genmod.model.pieces import MOST
from genmod.registry.lookup import current_registry
from genmod.registry.paths import dataset_at
from genmod.system.files import remove_leftovers
from genmod.system.tensors import fingerprint

__all__ = ["CodesToFit", "roomy"]

_HELD = 2**30
"""Bytes of codes that are held in memory; more are in a file that is mapped."""

Found = tuple[Tensor, Tensor | None]


class CodesToFit:
    """Codes of the training split and of others, with their conditions.

    Args:
        model: whose codes they are.
        data: a dataset, whatever :func:`genmod.as_dataset` takes, or a folder of ``genmod encode``; None for the model's own.
        codes: draws or means.
        seed: of draws.
        root: folder with data files.

    Raises:
        DataError: the data do not suit the model, or are codes of other weights.
    """

    def __init__(
        self, model: LatentVariableModel, data: Any, codes: Codes, seed: int, root: Path | str | None
    ) -> None:
        self.model, self.codes, self.seed = model, codes, seed
        self._encoded = isinstance(data, str | Path) and is_code_folder(Path(data).expanduser())
        if self._encoded:
            part = dataset_at(Path(data), current_registry())
            spec = model.spec.with_component("dataset", part).with_options({"dataset.codes": codes})
            self.data = open_dataset(spec, root)
            if self.data.info.coded_by != fingerprint(model):
                raise DataError(
                    f"the codes in {data} are of other weights than the model has now",
                    hint="encode the data again: genmod encode MODEL --with scales -o FOLDER/",
                )
        else:
            self.data = model.suited(data_for(model.spec, model.data, data, root))

    def train(self, place: Path | None, on_step: Callable[[int, int], None]) -> Found:
        """Codes of the training split, ``(N, *latent_shape)``, and their conditions, ``(N, size)`` or None, on the CPU.

        Args:
            place: folder for a file of codes of more than 1 GiB; None to hold all in memory.
            on_step: called with the number of codes that are done, and of all.
        """
        split = self.data.split("train")
        return self._gathered(split, len(split), place, on_step)

    def held(self, most: int) -> Found:
        """As many of the first codes of the validation split."""
        split = self.data.split("validation")
        return self._gathered(split, min(most, len(split)), None, lambda done, of: None)

    def _gathered(
        self, split: Split, n: int, place: Path | None, on_step: Callable[[int, int], None]
    ) -> Found:
        if not n:
            raise UsageError("there are no examples to encode", hint="choose data that have some")
        room: Tensor | None = None
        contexts, done = list[Tensor | None](), 0
        with evaluating(self.model):
            for z, context in self._read(split, n) if self._encoded else self._made(split, n):
                if room is None:
                    room = roomy((n, *z.shape[1:]), z.dtype, place)
                room[done : done + len(z)] = z
                contexts.append(None if context is None else context.cpu())
                done += len(z)
                on_step(done, n)
        known = [each for each in contexts if each is not None]
        return room, torch.cat(known) if len(known) == len(contexts) else None  # type: ignore[return-value]

    def _made(self, split: Split, n: int) -> Iterator[Found]:
        for part in coded_batches(self.model, split, seed=self.seed, limit=n):
            if self.codes == "means" and not part.has_means:
                raise UsageError(
                    f"posterior {self.model.spec.components['posterior'].name!r} states no mean",
                    hint="fit the sampler to draws: --codes draws",
                )
            yield part.draws if self.codes == "draws" else part.means, part.context

    def _read(self, split: Split, n: int) -> Iterator[Found]:
        info = self.data.info
        for start in range(0, n, MOST):
            batch = split.__getitems__(range(start, min(start + MOST, n)))
            context = self.model.conditions_in(self.model.context(batch))
            yield info.original(batch.x).to(self.model.dtype), context


def roomy(shape: tuple[int, ...], dtype: torch.dtype, place: Path | None) -> Tensor:
    """An empty tensor; of more than 1 GiB it is the content of a file in ``place``, which goes away with the tensor."""
    size = torch.Size(shape).numel()
    if place is None or size * dtype.itemsize <= _HELD:
        return torch.empty(shape, dtype=dtype)
    remove_leftovers(place, "codes")
    handle, name = tempfile.mkstemp(suffix=".tmp", prefix=".codes.", dir=place)
    os.close(handle)
    try:
        os.truncate(name, size * dtype.itemsize)
        return torch.from_file(name, shared=True, size=size, dtype=dtype).reshape(shape)
    finally:
        # Windows keeps a file that is mapped; there it is left to the next call.
        with suppress(OSError):
            os.unlink(name)
