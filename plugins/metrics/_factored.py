"""What measures of disentanglement share: codes and factors of a split, and rows that name the factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from genmod import Row, Subject, UndefinedError
from genmod.plugins.metrics._factors import Array, Score

__all__ = ["Factored", "factored"]


@dataclass(frozen=True)
class Factored:
    """Codes and factors of a split.

    Args:
        codes: posterior means, flattened, ``(n, d)`` float64.
        factors: ``(n, k)`` int64.
        names: of the factors.
    """

    codes: Array
    factors: Array
    names: list[str]

    def row(self, name: str, score: Score, definition: str) -> Row:
        """A score as a row, whose details name the factors."""
        details = dict(score.details)
        kept = details.pop("kept", range(len(self.names)))
        plain: Mapping[str, Any] = {key: value for key, value in details.items() if value is not None}
        # The numbers of the examples, whose mean is the value and whose spread its error.
        examples = (
            None if score.influence is None else torch.from_numpy(score.influence - score.influence.mean())
        )
        return Row(
            name,
            score.value,
            score.standard_error,
            len(self.codes),
            "",
            definition,
            "higher",
            {"factors": [self.names[i] for i in kept], **plain},
            None if examples is None else examples + score.value,
        )


def factored(subject: Subject) -> Factored:
    """The codes of the split that is measured, and its factors.

    Raises:
        UndefinedError: the data have no factors.
    """
    coded = subject.codes("split")
    if coded.factors is None:
        raise UndefinedError(
            "the data have no ground-truth factors: sprites have, and files with an array of them"
        )
    width = coded.factors.shape[1]
    names = [factor.name for factor in subject.data.factors]
    if len(names) != width:
        names = [f"factor {i}" for i in range(width)]
    return Factored(coded.means.flatten(1).double().numpy(), coded.factors.numpy(), names)
