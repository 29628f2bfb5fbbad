"""The use of discrete codes."""

from collections.abc import Iterator
from typing import Annotated, Any, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError
from genmod.distributions import Codebook as Shared
from genmod.distributions import Coded
from genmod.plugins.metrics._resampling import resamples
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors._side_by_side import Product
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot

__all__ = ["Codebook", "Use", "discrete_variables", "uses"]

_LISTED = 1000


@final
class Codebook(Metric):
    """How many of the codes of discrete latents are used.

    ``perplexity = exp H(q(k))``, ``q(k) = 1/N Σ_i q(k|x_i)``, the mean over the variables

    It is the number of classes where all are equally frequent, and 1 where every example has the same. A code is dead where
    its frequency is below a given share of its frequency in even use. For each variable, the details have its perplexity, its
    dead codes, and the information in nats that it holds about the example, ``H(q(k)) - 1/N Σ_i H(q(k|x_i))``. Relaxed
    latents count as the classes that they are nearest to. Where places share a codebook, a third row counts the codes that
    any of them uses; its details have the perplexity over all places.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937

    Example:
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> model = build("categorical-vae", latent=(2, 5))
        >>> [row.name for row in evaluate(model, TensorSplit(Batch(torch.zeros(8, 1, 8, 8))), "codebook").rows]
        ['codebook_perplexity', 'dead_codes']
    """

    main = "dead"

    def __init__(
        self,
        *,
        dead: Annotated[float, Gt(0), Lt(1), Doc("share of even use, below which a code is dead")] = 0.01,
    ) -> None:
        self.dead = dead

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        found = uses(subject, "codebook")
        n = found[0].n
        perplexities = torch.stack([use.perplexity for use in found])
        # To first order the entropy of the mean moves with an example by its cross-entropy with the mean.
        surprises = sum(use.surprise * use.perplexity for use in found) / len(found)
        assert isinstance(surprises, Tensor)
        yield Row(
            "codebook_perplexity",
            perplexities.mean().item(),
            surprises.std(correction=0).item() / n**0.5,
            n,
            "codes",
            "exp H of the mean of q(k|x) over the examples, mean over the variables",
            "higher",
            {
                "variables": len(found),
                "classes": [use.classes for use in found],
                "perplexities": perplexities.tolist(),
                "information": [use.information.item() for use in found],
            },
        )
        book = subject.model.posterior
        books = book.codebooks if isinstance(book, Shared) and len(found) > book.codebooks else 0
        weights = resamples(subject, "codebook", n) / n
        again, shared = torch.zeros(len(weights)), dict[int, Tensor]()
        for place, use in enumerate(found):
            means = use.means(weights)
            again = again + (means * use.classes < self.dead).sum(1)
            if books:
                # Of one codebook after the other; their places alternate.
                number = place % books
                shared[number] = shared.get(number, 0) + means * books / len(found)
        dead = [use.dead(self.dead) for use in found]
        yield Row(
            "dead_codes",
            float(sum(map(len, dead))),
            again.double().std().item(),
            n,
            "codes",
            f"codes that are used less than {self.dead:g} times as often as in even use",
            "lower",
            {"of": sum(use.classes for use in found), **_listed(dead)},
        )
        if books:
            yield self._anywhere(found, books, [shared[number] for number in range(books)])

    def _anywhere(self, found: list["Use"], books: int, resampled: list[Tensor]) -> Row:
        """The row of the codes that some place uses, where places share a codebook."""
        means = [torch.stack([use.mean for use in found[i::books]]).mean(0) for i in range(books)]

        def used(mean: Tensor) -> Tensor:
            return (mean * mean.shape[-1] >= self.dead).sum(-1)

        again = sum(map(used, resampled))
        assert isinstance(again, Tensor)
        return Row(
            "codes_in_use",
            float(sum(map(used, means))),
            again.double().std().item(),
            found[0].n,
            "codes",
            f"codes that, over all places, are used at least {self.dead:g} times as often as in even use",
            "higher",
            {
                "of": sum(map(len, means)),
                "codebooks": books,
                "perplexities": [torch.special.entr(mean).sum().exp().item() for mean in means],
            },
        )


class Use:
    """How the classes of one variable are used.

    Args:
        q: the probabilities of each example and class, ``(N, K)`` float64; or, where each example has one class, its
            number, ``(N,)``, of which even many examples of many places fit into memory.
        classes: how many there are.
    """

    def __init__(self, q: Tensor, classes: int) -> None:
        self.q, self.n, self.classes = q, len(q), classes
        self.mean = self.means(torch.full((1, self.n), 1 / self.n, dtype=torch.float64))[0]
        logs = self.mean.clamp(min=1e-300).log()
        #: Cross-entropy of each example with the mean, ``(N,)``; its own mean is the entropy of the mean.
        self.surprise = -(logs[q.long()] if self.sure else (q * logs).sum(1))
        self.perplexity = self.surprise.mean().exp()
        own = 0 if self.sure else torch.special.entr(q).sum(1).mean()
        self.information = self.surprise.mean() - own

    @property
    def sure(self) -> bool:
        """Whether each example has one class."""
        return self.q.dim() == 1

    def means(self, weights: Tensor) -> Tensor:
        """Weighted means of the probabilities over the examples, ``(R, N) → (R, K)``."""
        if not self.sure:
            return weights @ self.q
        found = weights.new_zeros(len(weights), self.classes)
        return found.index_add_(1, self.q.long(), weights)

    def dead(self, share: float) -> list[int]:
        """Classes that are used less than a share of even use."""
        return (self.mean * self.classes < share).nonzero().flatten().tolist()


def _listed(dead: list[list[int]]) -> dict[str, list[Any]]:
    """The dead codes of each variable; where they are too many to list, how many each has."""
    return {"codes": dead} if sum(map(len, dead)) <= _LISTED else {"counts": [len(each) for each in dead]}


def uses(subject: Subject, stream: str) -> list[Use]:
    """The use of each discrete variable among the latents.

    Raises:
        UndefinedError: there is none.
    """
    pieces: list[list[Tensor]] = []
    sizes: list[int] = []
    for given, x, _ in subject.batches(stream):
        with torch.no_grad():
            found = discrete_variables(given.encode(x))
        sizes = [classes for _, classes in found]
        pieces.append([each for each, _ in found])
    if not sizes:
        raise UndefinedError("none of its latents are discrete")
    columns = zip(*pieces, strict=True)
    return [Use(torch.cat(parts), classes) for parts, classes in zip(columns, sizes, strict=True)]


def discrete_variables(q: Distribution) -> list[tuple[Tensor, int]]:
    """Each discrete variable as :class:`Use` takes it: probabilities or classes, and the number of these; no other latents.

    Example:
        >>> [(each.shape, size) for each, size in discrete_variables(OneHot(torch.zeros(1, 2, 4), 1.0, 2))]
        [(torch.Size([1, 4]), 4), (torch.Size([1, 4]), 4)]
    """
    if isinstance(q, Product):
        return [each for part in q.parts for each in discrete_variables(part)]
    if isinstance(q, Coded):
        return [(each, q.codebook.classes) for each in q.codes.cpu().flatten(1).int().unbind(1)]
    if isinstance(q, OneHot | RelaxedOneHot):
        batch = q.batch_shape[0]
        logits = q.logits.cpu().double().reshape(batch, -1, q.logits.shape[-1])
        return [(each, each.shape[1]) for each in logits.exp().unbind(1)]
    if isinstance(q, Independent) and isinstance(q.base_dist, Bit | RelaxedBit):
        ones = q.base_dist.logits.cpu().flatten(1).double().sigmoid()
        return [(each, 2) for each in torch.stack([1 - ones, ones], -1).unbind(1)]
    return []
