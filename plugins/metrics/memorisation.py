"""Does a model generate its training examples?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import Tensor

from genmod import Doc, Row, Subject, Undefined
from genmod.evaluation import featured, nearest
from genmod.plugins.metrics._frechet import Distance
from genmod.plugins.metrics._generated import OfGenerated
from genmod.plugins.metrics._two_sample import rank_sums
from genmod.system import seed_for

__all__ = ["Copying", "Memorisation", "copying_score", "share_nearer"]

_PER_CELL = 20
"""Held-out examples that a cell has at least, on average."""
_CELLS = 50
_ROUNDS = 20


@dataclass(frozen=True)
class Copying:
    """How near generated examples are to training examples.

    Args:
        score: ``C_T``, and its standard error if the model were as far from them as the held-out examples.
        cells: number of parts of the space that were compared.
        distances: of each generated example to the nearest training example, ``(M,)``.
        places: its index, ``(M,)`` int64.
        usual: the median distance of held-out examples.
    """

    score: Distance
    cells: int
    distances: Tensor
    places: Tensor
    usual: float


def copying_score(made: Tensor, train: Tensor, held_out: Tensor, *, generator: torch.Generator) -> Copying:
    """``C_T``: in each part of the space, are generated examples nearer to the training data than held-out ones?

    ``C_T = Σ_c w_c Z_c``, ``Z_c`` the z-score of the Mann-Whitney test of the distances in cell c, ``w_c`` the share of
    held-out examples there. Far below 0 the model copies, far above it underfits. Cells are those of k-means on the
    training examples; a cell without generated examples is left out.

    Args:
        made: features of generated examples, ``(M, D)``.
        train: features of the training examples, ``(N, D)``.
        held_out: features of others, ``(T, D)``.
        generator: of the first centres, on the CPU.

    Reference:
        A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al., 2020), arXiv:2004.05675

    Example:
        >>> train, other = torch.randn(300, 2), torch.randn(300, 2)
        >>> copying_score(train + 1e-3, train, other, generator=torch.Generator()).score.value < -5
        True
    """
    of_made, places = nearest(made, train)
    of_others, _ = nearest(held_out, train)
    centres = _centres(train, max(1, min(_CELLS, len(held_out) // _PER_CELL)), generator)
    cell_made, cell_others = (nearest(points, centres)[1][:, 0] for points in (made, held_out))
    weighted = []
    for cell in range(len(centres)):
        a, b = of_made[cell_made == cell, 0], of_others[cell_others == cell, 0]
        if len(a) and len(b):
            rank_sum = float(rank_sums(torch.cat([a, b]))[: len(a)].sum())
            middle = len(a) * (len(a) + len(b) + 1) / 2
            weighted.append((len(b), (rank_sum - middle) / math.sqrt(middle * len(b) / 6)))
    total = sum(weight for weight, _ in weighted)
    score = Distance(
        sum(weight * z for weight, z in weighted) / total if total else math.nan,
        math.sqrt(sum(weight**2 for weight, _ in weighted)) / total if total else math.nan,
    )
    return Copying(score, len(weighted), of_made[:, 0], places[:, 0], float(of_others.median()))


def share_nearer(made: Tensor, train: Tensor, held_out: Tensor) -> Distance:
    """The share of generated examples whose nearest example is one of training, among as many of training as held out.

    One half where the model is no nearer to the ones than to the others. The standard error is that under this
    hypothesis, under which the two sets can be exchanged: an example that is nearest to many is one draw.

    Args:
        made: features of generated examples, ``(M, D)``.
        train: features of training examples, ``(N, D)``.
        held_out: features of as many others, ``(N, D)``.

    Example:
        >>> share_nearer(torch.zeros(4, 1), torch.ones(2, 1), torch.tensor([[3.0], [4.0]]))
        Distance(value=1.0, standard_error=0.5)
    """
    _, places = nearest(made, torch.cat([train, held_out]))
    total = len(train) + len(held_out)
    counts = places.flatten().bincount(minlength=total).double()
    share = float((places < len(train)).double().mean())
    variance = (counts - counts.mean()).square().sum() * total / (4 * (total - 1))
    return Distance(share, math.sqrt(variance) / len(made))


def _centres(x: Tensor, cells: int, generator: torch.Generator) -> Tensor:
    """Centres of k-means after a few rounds, ``(N, D) → (cells, D)`` double."""
    x = x.double()
    centres = x[torch.randperm(len(x), generator=generator)[:cells].to(x.device)]
    for _ in range(_ROUNDS if len(centres) > 1 else 1):
        cell = nearest(x, centres)[1][:, 0]
        # A product, because index_add_ adds up in any order on a GPU.
        members = torch.nn.functional.one_hot(cell, len(centres)).double()
        counts = members.sum(0)[:, None]
        centres = torch.where(counts > 0, members.T @ x / counts.clamp(min=1), centres)
    return centres


_WORST = 10


@final
@dataclass(kw_only=True, eq=False)
class Memorisation(OfGenerated):
    """Whether generated examples are nearer to the training examples than other data are.

    ``data_copying`` is the statistic C_T: in each part of the space, the z-score of how the distances of generated
    examples to their nearest training example rank among those of held-out examples; far below 0 the model copies,
    far above it does not reach the data. ``nearer_to_train`` is the share of generated examples whose nearest example
    is one of training, among as many of training as held out: one half without copying. ``worst`` in the details are
    the generated examples nearest to a training example, by their place among :meth:`Subject.generated`, with its place
    in the training split.

    Raises:
        UsageError: there are no such features.

    Reference:
        A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al., 2020), arXiv:2004.05675

    Example:
        >>> from genmod import build, evaluate, open_dataset
        >>> model = build(data="digits", encoder="mlp")
        >>> result = evaluate(model, open_dataset(model.spec), "memorisation")
        >>> [row.name for row in result.rows], len(result.rows[0].details["worst"])
        (['data_copying[pixel]', 'nearer_to_train[pixel]'], 10)
    """

    features: Annotated[
        str,
        Doc(
            "what distances are taken in, NAME or NAME:OPTION=VALUE,…; none that were fitted to the examples"
        ),
    ] = "pixel"

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject, floor=False)
        made_of = featured(subject, self.features)
        train = made_of.of_training()[0].to(sets.real.device)
        found = copying_score(
            sets.made,
            train,
            sets.real,
            generator=torch.Generator().manual_seed(seed_for(subject.seed, "evaluation/memorisation")),
        )
        order = found.distances.argsort(stable=True)[:_WORST].tolist()
        worst = [
            {"sample": i, "train": int(found.places[i]), "distance": float(found.distances[i])} for i in order
        ]
        yield Row(
            f"data_copying[{sets.label}]",
            found.score.value,
            found.score.standard_error,
            len(sets.made),
            "",
            "C_T: how distances to the training data rank among those of held-out data, as a z-score",
            "",
            {
                "cells": found.cells,
                "median": float(found.distances.median()),
                "median of held-out": found.usual,
                **sets.details,
                "worst": worst,
            },
        )
        n = min(len(train), len(sets.real))
        some = made_of.of_training(n)[0].to(sets.real.device)
        share = share_nearer(sets.made, some, sets.real[:n])
        yield Row(
            f"nearer_to_train[{sets.label}]",
            share.value,
            share.standard_error,
            len(sets.made),
            "",
            "share of generated examples whose nearest example is one of training; 0.5 without copying",
            "",
            {"expected": 0.5, "examples of each": n, **sets.details},
        )
