"""The use of discrete codes."""

from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.nn.functional import one_hot

from genmod import Doc, Metric, Row, Subject, Undefined, UndefinedError
from genmod.distributions import Codebook as Shared
from genmod.distributions import Coded
from genmod.plugins.metrics._resampling import resamples
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors._side_by_side import Product
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot

__all__ = ["Codebook", "Use", "class_probabilities", "uses"]


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
        n = len(found[0].probabilities)
        perplexities = torch.stack([use.perplexity for use in found])
        # To first order the entropy of the mean moves with an example by its cross-entropy with the mean.
        surprises = torch.stack([use.surprise * use.perplexity for use in found], 1).mean(1)
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
        dead = [use.dead(self.dead) for use in found]
        weights = resamples(subject, "codebook", n) / n
        again = sum(((weights @ use.probabilities) * use.classes < self.dead).sum(1) for use in found)
        assert isinstance(again, Tensor)
        yield Row(
            "dead_codes",
            float(sum(map(len, dead))),
            again.double().std().item(),
            n,
            "codes",
            f"codes that are used less than {self.dead:g} times as often as in even use",
            "lower",
            {"of": sum(use.classes for use in found), "codes": dead},
        )
        book = subject.model.posterior
        if isinstance(book, Shared) and len(found) > book.codebooks:
            yield self._anywhere(subject, found, book.codebooks)

    def _anywhere(self, subject: Subject, found: list["Use"], books: int) -> Row:
        """The row of the codes that some place uses, where places share a codebook."""
        shared = [torch.stack([use.probabilities for use in found[i::books]]).mean(0) for i in range(books)]
        n, classes = len(shared[0]), books * shared[0].shape[1]
        weights = resamples(subject, "codebook", n) / n

        def used(mean: Tensor) -> Tensor:
            return (mean * mean.shape[-1] >= self.dead).sum(-1)

        again = sum(used(weights @ each) for each in shared)
        assert isinstance(again, Tensor)
        return Row(
            "codes_in_use",
            float(sum(used(each.mean(0)) for each in shared)),
            again.double().std().item(),
            n,
            "codes",
            f"codes that, over all places, are used at least {self.dead:g} times as often as in even use",
            "higher",
            {
                "of": classes,
                "codebooks": books,
                "perplexities": [Use(each).perplexity.item() for each in shared],
            },
        )


class Use:
    """How the classes of one variable are used.

    Args:
        probabilities: of each example and class, ``(N, K)`` float64.
    """

    def __init__(self, probabilities: Tensor) -> None:
        self.probabilities = probabilities
        self.classes = probabilities.shape[1]
        self.mean = probabilities.mean(0)
        #: Cross-entropy of each example with the mean, ``(N,)``; its own mean is the entropy of the mean.
        self.surprise = -(probabilities * self.mean.clamp(min=1e-300).log()).sum(1)
        self.perplexity = self.surprise.mean().exp()
        self.information = self.surprise.mean() - torch.special.entr(probabilities).sum(1).mean()

    def dead(self, share: float) -> list[int]:
        """Classes that are used less than a share of even use."""
        return (self.mean * self.classes < share).nonzero().flatten().tolist()


def uses(subject: Subject, stream: str) -> list[Use]:
    """The use of each discrete variable among the latents.

    Raises:
        UndefinedError: there is none.
    """
    pieces: list[list[Tensor]] = []
    for given, x, _ in subject.batches(stream):
        with torch.no_grad():
            found = class_probabilities(given.encode(x))
        pieces.append([each.cpu().double() for each in found])
    if not pieces[0]:
        raise UndefinedError("none of its latents are discrete")
    return [Use(torch.cat(parts)) for parts in zip(*pieces, strict=True)]


def class_probabilities(q: Distribution) -> list[Tensor]:
    """The probabilities of the classes of each discrete variable, ``(B, K)`` each; of other latents none.

    Example:
        >>> [each.tolist() for each in class_probabilities(OneHot(torch.zeros(1, 2, 4), 1.0, 2))]
        [[[0.25, 0.25, 0.25, 0.25]], [[0.25, 0.25, 0.25, 0.25]]]
    """
    if isinstance(q, Product):
        return [each for part in q.parts for each in class_probabilities(part)]
    if isinstance(q, Coded):
        return list(one_hot(q.codes.flatten(1), q.codebook.classes).unbind(1))
    if isinstance(q, OneHot | RelaxedOneHot):
        batch = q.batch_shape[0]
        return list(q.logits.exp().reshape(batch, -1, q.logits.shape[-1]).unbind(1))
    if isinstance(q, Independent) and isinstance(q.base_dist, Bit | RelaxedBit):
        ones = q.base_dist.logits.flatten(1).sigmoid()
        return list(torch.stack([1 - ones, ones], -1).unbind(1))
    return []
