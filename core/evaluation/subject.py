"""The subject of metrics: a model, its data, and codes and samples that several metrics share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from genmod.data.dataset import Batch, Split
from genmod.errors import UndefinedError
from genmod.evaluation.shared import Processes, gathered, turn_of
from genmod.interfaces.conditioned import given_part
from genmod.interfaces.given import GivenModel
from genmod.interfaces.sampler import Source
from genmod.model.encode import Coded, coded_batches, coded_together, encode_split, observed_batches
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import examples_at_once, slices
from genmod.model.tiled import code_of
from genmod.system.explained import explained
from genmod.system.random import seed_for, seeded

__all__ = ["Coded", "Part", "Subject"]

Made = TypeVar("Made")

Part = Literal["split", "train"]
"""The split that is measured, or the training split, to which things are fitted."""


@explained
class Subject:
    """A model and the split that it is measured on.

    Metrics share it: codes and generated examples are made once. They are on the CPU unless said otherwise, and depend
    on the seed alone, not on the metrics or their order.

    Args:
        model: in evaluation mode.
        split: the examples, or what :func:`genmod.as_dataset` takes for them.
        train: gives the training split, for metrics that need it; None where there is none.
        seed: of everything that is drawn.
        on_progress: called with the task, the steps done and their total.
        processes: that share the batches; all measure the same metrics in the same order. None for one.
    """

    def __init__(
        self,
        model: LatentVariableModel,
        split: Any,
        *,
        train: Callable[[], Split] | None = None,
        seed: int = 0,
        on_progress: Callable[[str, int, int], None] | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.model = model
        self.processes = processes
        """The processes that share the batches; None for one."""
        self.split: Split = model.suited(split)
        self.data = self.split.info or model.data
        """Description of the examples, with classes and factors that the model does not know after its own."""
        self.size = examples_at_once(model)
        """Examples in a piece; each piece has its own seed for draws."""
        self.seed = seed
        self.warnings: list[str] = []
        """What is said about the numbers, by :meth:`warn`."""
        self._train = train
        self._on_progress = on_progress
        # Caches of each subject, which do not outlive it.
        self._codes_once = cache(self._codes)
        self._chunks: dict[tuple[int, bool, Source | None], Tensor] = {}

    def of(self, part: Part) -> Split:
        """A split by its part.

        Raises:
            UndefinedError: there is no training split.
        """
        if part == "split":
            return self.split
        if self._train is None:
            raise UndefinedError("it needs training data, and none were given")
        return self.model.suited(self._train())

    def warn(self, text: str) -> None:
        """Add a warning about the numbers, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        """Report the progress of a long computation."""
        if self._on_progress is not None:
            self._on_progress(what, done, total)

    @contextmanager
    def drawing(self, stream: str, step: int = 0) -> Iterator[None]:
        """Draw from a stream of its own inside; streams of different names are independent."""
        with seeded(seed_for(self.seed, f"evaluation/{stream}", step)):
            yield

    def batches(
        self, stream: str, part: Part = "split", *, limit: int | None = None, size: int | None = None
    ) -> Iterator[tuple[GivenModel, Tensor, Batch]]:
        """The examples of a part in order, batch by batch, drawing from ``stream`` while one is worked on.

        Args:
            stream: of binarisation and of all that is drawn inside the loop.
            part: which split.
            limit: number of examples, the first ones; by default all.
            size: examples in a batch, by default :attr:`size`; another size draws other numbers.

        Yields:
            The model, given the conditions of the batch where it is conditional; observations
            ``x (B, *data.shape)`` on its device; the batch as it is stored.
        """
        stream = f"evaluation/{stream}"
        yield from observed_batches(self.model, self.of(part), stream, seed=self.seed, limit=limit, size=size)

    def over_batches(
        self,
        stream: str,
        work: Callable[[int, GivenModel, Tensor, Batch], Made],
        part: Part = "split",
        *,
        limit: int | None = None,
    ) -> list[Made]:
        """What is made of each batch of a part, in order, where several processes share the batches.

        Args:
            stream: of binarisation and of all that is drawn.
            work: given the place of the first example, and what :meth:`batches` yields; gives tensors and plain data, and
                asks for nothing that processes share itself.
            part: which split.
            limit: number of examples, the first ones; by default all.
        """
        split, turn = self.of(part), turn_of(self.processes)
        count = len(split) if limit is None else min(limit, len(split))
        starts = range(0, count, self.size)[turn]

        def make() -> Iterator[Made]:
            stream_of = f"evaluation/{stream}"
            batches = observed_batches(self.model, split, stream_of, seed=self.seed, limit=limit, turn=turn)
            for start, (model, x, batch) in zip(starts, batches, strict=True):
                yield work(start, model, x, batch)

        return gathered(self.processes, make)

    def examples(self, part: Part = "split", limit: int | None = None) -> Tensor:
        """Values of the examples as the data have them, not made binary, ``(N, *data.shape)`` float32."""
        split = self.of(part)
        count = len(split) if limit is None else min(limit, len(split))
        pieces = [
            self.model.data.values(split.__getitems__(range(start, min(start + self.size, count))).x)
            for start in range(0, count, self.size)
        ]
        return torch.cat(pieces)

    def codes(self, part: Part = "split") -> Coded:
        """The codes of a part; they are made once."""
        return self._codes_once(part)

    def reconstructions(self, limit: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Observations and the mean of ``p(x|z)`` at their codes, batch by batch, ``(B, *data.shape)`` each.

        A code is the mean of ``q(z|x)``, or a draw where it has no known mean; where latents are directions, classes or
        bits, it is the one nearest to the mean. Observations are those that the model encodes: binary images where its
        decoder makes them.

        Args:
            limit: number of examples, the first ones; by default all.

        Yields:
            Observations and reconstructions, on the device of the model.
        """
        done, count = 0, min(limit or len(self.split), len(self.split))
        for model, x, _ in self.batches("reconstruction", limit=limit):
            yield x, model.decode(code_of(model, x)).mean
            done += len(x)
            self.progress("reconstructing", done, count)

    def over_reconstructions(
        self, work: Callable[[Tensor, Tensor], Made], limit: int | None = None
    ) -> list[Made]:
        """What is made of :meth:`reconstructions`, in order, where several processes share the batches.

        Args:
            work: given observations and reconstructions, a million values at most; gives tensors and plain data.
            limit: number of examples, the first ones; by default all.
        """
        count = min(limit or len(self.split), len(self.split))

        def reconstruct(start: int, model: GivenModel, x: Tensor, batch: Batch) -> list[Made]:
            z = code_of(model, x)
            made = [work(x[some], given_part(model, some).decode(z[some]).mean) for some in slices(model, x)]
            self.progress("reconstructing", start + len(x), count)
            return made

        return list(chain.from_iterable(self.over_batches("reconstruction", reconstruct, limit=limit)))

    def generated(self, n: int, *, noise: bool = False, source: Source | None = None) -> Tensor:
        """New examples, ``(n, *data.shape)``; they are made once, and fewer are the first of more.

        Of a model with a context they have that of the examples of the split, in their order and over again.

        Args:
            n: how many.
            noise: draw from ``p(x|z)`` too, rather than take its mean.
            source: ``prior`` or ``sampler``; by default the sampler where one was fitted.

        Raises:
            UndefinedError: the model has no prior, no sampler.
        """
        wanted = [(index, noise, source) for index in range(-(-n // self.size))]
        missing = [each for each in wanted if each not in self._chunks]

        def make() -> Iterator[Tensor]:
            for each in missing[turn_of(self.processes)]:
                self.progress("drawing examples", each[0] * self.size, n)
                yield self._chunk(*each)

        self._chunks.update(zip(missing, gathered(self.processes, make), strict=True))
        return torch.cat([self._chunks[each] for each in wanted])[:n]

    def _codes(self, part: Part) -> Coded:
        split, stream = self.of(part), "evaluation/codes"
        if self.processes is None or not len(split):
            return encode_split(self.model, split, stream=stream, seed=self.seed)
        turn = turn_of(self.processes)
        with evaluating(self.model):
            batches = coded_batches(self.model, split, stream=stream, seed=self.seed, turn=turn)
            return coded_together(gathered(self.processes, lambda: batches))

    def _chunk(self, index: int, noise: bool, source: Source | None) -> Tensor:
        start = index * self.size
        with torch.no_grad(), self.drawing("generated", start):
            context = None
            if self.model.wants_context:
                indices = [i % len(self.split) for i in range(start, start + self.size)]
                context = self.model.context(self.split.__getitems__(indices))
            return self.model.sample(self.size, noise=noise, context=context, source=source).cpu()
