"""Does a model generate its training examples?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import torch

from genmod import Doc, Row, Subject, Undefined
from genmod.evaluation import featured
from genmod.plugins.metrics._generated import OfGenerated
from genmod.plugins.metrics._memorisation import copying_score, share_nearer
from genmod.system import seed_for

__all__ = ["Memorisation"]

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
