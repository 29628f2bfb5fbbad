"""Codebooks that are learned from what is encoded: by running means, with codes that nothing uses revived.

``vector-quantize-pytorch`` 1.32.0, tried against the same laws, moves a codebook in ``forward``: two halves of a batch move it
otherwise than the whole, so that accumulated gradients are no larger batch, and a forward pass in training mode moves it
without a step. Batches in evaluation, resuming, ``sync_codebook`` over two processes, and its ``FSQ`` and ``LFQ`` hold.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from genmod import GivenModel
from genmod.plugins.posteriors._quantised import QuantisedPosterior
from genmod.system import gather_batch

__all__ = ["BooksPosterior", "LearnedCodebook"]

_EPSILON = 1e-5
_LLOYD = 10


class LearnedCodebook(nn.Module):
    """``K`` vectors, each at the running mean of what is nearest to it, or moved by gradients.

    ``N_k ← γ N_k + (1-γ) n_k``, ``m_k ← γ m_k + (1-γ) Σ_i [k_i = k] v_i``, ``e_k = m_k / N_k``, once a step, with the sums
    over all examples of the step, whatever their number of parts and processes.

    Args:
        classes: number of vectors, K.
        length: of each, D.
        decay: γ; None where the vectors are parameters.
        cosine: let directions alone count: all vectors have length one.
        revive: vectors that are used less often than this share of even use are put where something was encoded.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937, appendix A.1;
        Jukebox: A Generative Model for Music (Dhariwal et al., 2020), arXiv:2005.00341, for codes that are revived

    Example:
        >>> book = LearnedCodebook(4, 2)
        >>> book.nearest(book.vectors)
        tensor([0, 1, 2, 3])
    """

    vectors: Any
    counts: Tensor
    sums: Tensor
    seen: Tensor
    seen_sums: Tensor
    started: Tensor

    def __init__(
        self,
        classes: int,
        length: int,
        *,
        decay: float | None = 0.99,
        cosine: bool = False,
        revive: float = 0.0,
    ) -> None:
        super().__init__()
        self.classes, self.decay, self.cosine, self.revive = classes, decay, cosine, revive
        start = torch.randn(classes, length)
        start = normalize(start, dim=1) if cosine else start * length**-0.5
        if decay is None:
            self.vectors = nn.Parameter(start)
        else:
            self.register_buffer("vectors", start)
            self.register_buffer("sums", start.clone())
            self.register_buffer("seen_sums", torch.zeros_like(start))
        self.register_buffer("counts", torch.ones(classes))
        self.register_buffer("seen", torch.zeros(classes))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._recent: Tensor | None = None

    def nearest(self, vectors: Tensor) -> Tensor:
        """Numbers of the nearest, ``(N, D) → (N,)`` int64."""
        own = self.vectors.detach().to(vectors)
        if self.cosine:
            own = normalize(own, dim=1)
            return (vectors @ own.T).argmax(1)
        # Without ‖v‖², which is the same for all; exact for its own vectors but for the rounding of far larger ones.
        return (own.square().sum(1) - 2 * vectors @ own.T).argmin(1)

    def looked_up(self, codes: Tensor) -> Tensor:
        """Vectors by their numbers, ``(N,) → (N, D)``."""
        own = normalize(self.vectors, dim=1) if self.cosine else self.vectors
        return torch.nn.functional.embedding(codes, own)

    @torch.no_grad()
    def rounded(self, vectors: Tensor) -> Tensor:
        """The nearest vectors themselves, ``(*batch, D) → (*batch, D)``."""
        flat = vectors.flatten(0, -2)
        return self.looked_up(self.nearest(flat)).to(vectors).view_as(vectors)

    @torch.no_grad()
    def saw(self, vectors: Tensor, codes: Tensor) -> None:
        """Add to the sums of this step what was encoded, ``(N, D)``, with the numbers of the nearest, ``(N,)``."""
        self.seen.index_add_(0, codes, torch.ones_like(codes, dtype=self.seen.dtype))
        if self.decay is not None:
            self.seen_sums.index_add_(0, codes, vectors.to(self.seen_sums))
        if self.revive > 0:
            self._recent = vectors

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the vectors by what was seen in this step."""
        seen = gather_batch(self.seen[None]).sum(0)
        # Gradients move the vectors themselves; the counts say which of them are used.
        decay = 0.99 if self.decay is None else self.decay
        self.counts.lerp_(seen, 1 - decay)
        if self.decay is not None:
            self.sums.lerp_(gather_batch(self.seen_sums[None]).sum(0), 1 - decay)
            total = self.counts.sum()
            smooth = (self.counts + _EPSILON) / (total + self.classes * _EPSILON) * total
            moved = self.sums / smooth[:, None]
            self.vectors.copy_(normalize(moved, dim=1) if self.cosine else moved)
            self.seen_sums.zero_()
        self.seen.zero_()
        if self._recent is not None:
            self._revive(self._recent)
            self._recent = None

    def _revive(self, encoded: Tensor) -> None:
        """Put vectors that are hardly used where something was encoded."""
        even = self.counts.sum() / self.classes
        rare = self.counts < self.revive * even
        if encoded.device.type != "cpu":
            self._revive_there(gather_batch(encoded), rare, even)
            return
        dead = rare.nonzero().flatten()
        if len(dead) == 0:
            return
        # The same choice in every process, for all have drawn the same random numbers.
        encoded = gather_batch(encoded)
        chosen = encoded[torch.randint(len(encoded), (len(dead),)).to(encoded.device)].to(self.vectors)
        self.vectors[dead] = normalize(chosen, dim=1) if self.cosine else chosen
        self.counts[dead] = even
        if self.decay is not None:
            self.sums[dead] = self.vectors[dead] * even

    def _revive_there(self, encoded: Tensor, rare: Tensor, even: Tensor) -> None:
        """The same on a device that runs behind the program, which would have to wait to learn how many are rare."""
        chosen = encoded[torch.randint(len(encoded), (self.classes,), device=encoded.device)].to(self.vectors)
        chosen = normalize(chosen, dim=1) if self.cosine else chosen
        self.vectors.copy_(torch.where(rare[:, None], chosen, self.vectors))
        self.counts.copy_(torch.where(rare, even, self.counts))
        if self.decay is not None:
            self.sums.copy_(torch.where(rare[:, None], self.vectors * even, self.sums))

    @torch.no_grad()
    def start(self, encoded: Tensor) -> None:
        """Put the vectors among what is encoded, ``(N, D)``: examples, then ten steps of k-means."""
        if self.started:
            return
        encoded = encoded.to(self.vectors)
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(encoded), generator=generator).to(encoded.device)
        picked = encoded[order[torch.arange(self.classes, device=encoded.device) % len(order)]]
        spread = encoded.std(0, correction=0) if len(encoded) > 1 else torch.zeros_like(encoded[0])
        noise = torch.randn(picked.shape, generator=generator).to(picked)
        self.vectors.copy_(picked + 0.01 * spread * noise)
        for _ in range(_LLOYD):
            codes = self.nearest(encoded)
            counts = torch.bincount(codes, minlength=self.classes).to(encoded)
            sums = torch.zeros_like(self.vectors).index_add_(0, codes, encoded)
            self.vectors.copy_(
                torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], self.vectors)
            )
        if self.cosine:
            self.vectors.copy_(normalize(self.vectors, dim=1))
        if self.decay is not None:
            self.sums.copy_(self.vectors)
        self.counts.fill_(1.0)
        self.started.fill_(True)


class BooksPosterior(QuantisedPosterior):
    """One code from each of several learned codebooks in each place, which lie side by side in its vector.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: the latent shape that was asked for.
        books: number of codebooks.
        codes: vectors in each.
        book: options of :class:`LearnedCodebook`.
        options: of :class:`QuantisedPosterior`.
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        books: int,
        codes: int,
        book: Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(feature_shape, latent_shape, **options)
        # More books than numbers in a vector are refused by who knows what they are for.
        length = max(1, self.places.length // books)
        self.books = nn.ModuleList(LearnedCodebook(codes, length, **book) for _ in range(books))
        self.examples_wanted = max(256, math.ceil(8 * codes / self.places.count))
        self._classes = codes
        self._model: tuple[Any, ...] = ()

    @property
    def classes(self) -> int:
        return self._classes

    @property
    def per_place(self) -> tuple[int, ...]:
        return (len(self.books),)

    def nearest(self, vectors: Tensor) -> Tensor:
        found = [book.nearest(part) for book, part in self.pairs(vectors)]
        return torch.stack(found, -1).reshape(-1, *self.per_place)

    def vectors(self, codes: Tensor) -> Tensor:
        return torch.cat([book.looked_up(k) for book, k in self._with_codes(codes)], -1)

    def saw(self, vectors: Tensor, codes: Tensor) -> None:
        for (book, part), (_, k) in zip(self.pairs(vectors), self._with_codes(codes), strict=True):
            book.saw(part, k)

    def pairs(self, vectors: Tensor) -> list[tuple[Any, Tensor]]:
        """Each codebook with its part of vectors ``(…, D)``."""
        return list(zip(self.books, vectors.chunk(len(self.books), -1), strict=True))

    def _with_codes(self, codes: Tensor) -> list[tuple[Any, Tensor]]:
        return list(zip(self.books, codes.reshape(-1, len(self.books)).unbind(-1), strict=True))

    def bind(self, model: GivenModel) -> None:
        self._model = (model,)

    @torch.no_grad()
    def prepare(self, examples: Tensor) -> None:
        for number in range(len(self.books)):
            # What is left over for a codebook may be known once those before it have their vectors.
            book, part = self.pairs(self._encoded(examples))[number]
            book.start(part)

    def _encoded(self, examples: Tensor) -> Tensor:
        """What is rounded of examples as they are stored, ``(N, D)``; in a conditional model, under all conditions in turn."""
        (model,) = self._model
        was = model.training
        model.eval()
        x = model.data.values(examples.to(model.device), model.dtype)
        context = None if model.conditions is None else model.conditions.chosen(None, len(x)).to(x)
        found = self.encoded(model.features(x, context)).flatten(0, 1)
        model.train(was)
        return found

    def after_step(self) -> None:
        for book in self.books:
            book.after_step()  # type: ignore[operator]
