"""Clusters of codes against classes."""

from collections.abc import Iterator
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined, mean_row
from genmod.plugins.metrics._resampling import resamples
from genmod.plugins.metrics._targets import flat, targets
from genmod.system import seed_for

__all__ = ["Clustering", "adjusted_rand", "normalised_information"]


@final
class Clustering(Metric):
    """How well clusters of codes, found without labels, match the classes.

    k-means of the posterior means of the split, the best of ten starts, with as many clusters as there are classes; for the
    labels, and for each ground-truth factor. They are compared with the classes by

    - ``clustering_ari``: the adjusted Rand index, the share of pairs of examples on which both agree, 0 by chance and 1
      where they are the same;
    - ``clustering_nmi``: mutual information over the mean of the entropies;
    - ``clustering_accuracy``: the share of examples in the right cluster, with the best match of clusters and classes.

    Standard errors of the first two are by resampling the examples, with the clusters as they are.

    Reference:
        Comparing partitions (Hubert and Arabie, 1985), doi:10.1007/BF01908075; Unsupervised Deep Embedding for
        Clustering Analysis (Xie et al., 2015), arXiv:1511.06335, for the accuracy

    Example:
        >>> from genmod import build, evaluate, open_dataset
        >>> model = build(encoder="mlp")
        >>> result = evaluate(model, open_dataset(model.spec), "clustering")
        >>> 0 < result["clustering_ari[label]"].value < result["clustering_accuracy[label]"].value < 1
        True
    """

    main = "clusters"

    def __init__(
        self,
        *,
        clusters: Annotated[
            int | None, Ge(2), Doc("how many; as many as there are classes unless given")
        ] = None,
    ) -> None:
        self.clusters = clusters

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        coded = subject.codes()
        known = targets(coded, subject)
        z = flat(coded.means)
        made: dict[int, Tensor] = {}
        different = len(z.unique(dim=0))
        for name, target in known.items():
            classes = target.unique(return_inverse=True)[1]
            count = self.clusters or int(classes.max()) + 1
            if count < 2 or different < count:
                yield Undefined(
                    f"clustering[{name}]",
                    f"{len(z)} examples of {count} classes with {different} different codes make no clusters",
                )
                continue
            if count not in made:
                subject.progress(f"{count} clusters", 0, 1)
                made[count] = _clusters(subject, z, count)
            yield from _rows(subject, name, made[count], classes, count)


def _clusters(subject: Subject, z: Tensor, count: int) -> Tensor:
    from sklearn.cluster import KMeans

    seed = seed_for(subject.seed, "evaluation/clustering") % 2**32
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(z.numpy())
    return torch.from_numpy(found).long()


def _rows(subject: Subject, name: str, clusters: Tensor, classes: Tensor, count: int) -> Iterator[Row]:
    from scipy.optimize import linear_sum_assignment

    of = int(classes.max()) + 1
    cell, n = clusters * of + classes, len(classes)
    table = torch.bincount(cell, minlength=count * of).double().reshape(1, count, of)
    again = torch.zeros(len(weights := resamples(subject, "clustering", n)), count * of, dtype=torch.float64)
    again = again.index_add_(1, cell, weights).reshape(-1, count, of)
    details = {"clusters": count, "classes": of}
    for short, measure, definition in (
        ("ari", adjusted_rand, "adjusted Rand index"),
        ("nmi", normalised_information, "normalised mutual information"),
    ):
        yield Row(
            f"clustering_{short}[{name}]",
            measure(table).item(),
            measure(again).std().item(),
            n,
            "",
            f"{definition} of clusters of codes and {name}",
            "higher",
            details,
        )
    matched = torch.full((count,), -1)
    rows, columns = linear_sum_assignment(table[0].numpy(), maximize=True)
    matched[torch.from_numpy(rows)] = torch.from_numpy(columns)
    yield mean_row(
        f"clustering_accuracy[{name}]",
        (matched[clusters] == classes).double(),
        "share",
        f"share of examples whose cluster of codes is matched with their {name}, in the best match",
        "higher",
        details,
    )


def adjusted_rand(tables: Tensor) -> Tensor:
    """The adjusted Rand index of tables of counts, ``(R, clusters, classes) → (R,)``.

    Example:
        >>> adjusted_rand(torch.tensor([[[5.0, 0.0], [0.0, 7.0]]]))
        tensor([1.])
    """

    def pairs(counts: Tensor) -> Tensor:
        return (counts * (counts - 1) / 2).flatten(1).sum(1)

    both, rows, columns = pairs(tables), pairs(tables.sum(2)), pairs(tables.sum(1))
    expected = rows * columns / pairs(tables.sum((1, 2))[:, None])
    most = (rows + columns) / 2
    # One cluster and one class agree, and so do clusters of one example each with classes of one.
    return torch.where(most == expected, 1.0, (both - expected) / (most - expected))


def normalised_information(tables: Tensor) -> Tensor:
    """Mutual information over the mean of the entropies of tables of counts, ``(R, clusters, classes) → (R,)``.

    Example:
        >>> normalised_information(torch.tensor([[[5.0, 5.0], [7.0, 7.0]]])).round().abs()
        tensor([0.])
    """
    shares = tables / tables.sum((1, 2), keepdim=True)
    rows, columns = (torch.special.entr(shares.sum(dim)).sum(1) for dim in (2, 1))
    both = torch.special.entr(shares).sum((1, 2))
    mean = (rows + columns) / 2
    return torch.where(mean == 0, 1.0, (rows + columns - both) / mean)
