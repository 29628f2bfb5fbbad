"""What a user may say about the card of a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from genmod.data.dataset import SplitName
from genmod.defaults import METRIC
from genmod.errors import UsageError
from genmod.evaluation.runner import MetricName

__all__ = ["CardWishes"]

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


@dataclass(frozen=True, kw_only=True)
class CardWishes:
    """What a user may say about the card of a model; ``model_card_kwargs`` of ``push_to_hub`` has these names.

    Args:
        license: its short name on the Hub, such as ``mit``, ``cc-by-4.0`` or ``other``; empty where none is given.
        intended_use: what the model is for, in a sentence or two of Markdown; by default what any model of its kind is for.
        data: to measure and show, as :func:`genmod.evaluate` takes them; by default the dataset that it was built for.
        metrics: to measure; none for a card without numbers.
        split: of the data.
        seed: of everything that is drawn.
        root: folder with data files.
        examples: whether a picture shows some of the data beside their reconstructions.
        run: record of the training, as a model directory has it.

    Raises:
        UsageError: the licence is no short name.
    """

    license: str = ""
    intended_use: str = ""
    data: Any = None
    metrics: MetricName | Sequence[MetricName] = METRIC
    split: SplitName = "test"
    seed: int = 0
    root: Path | str | None = None
    examples: bool = True
    run: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.license and not _LICENCE.fullmatch(self.license):
            raise UsageError(
                f"licence {self.license!r:.80} is no short name that the Hub knows",
                hint="for example mit, apache-2.0, cc-by-4.0, cc-by-nc-4.0, or other: "
                "https://huggingface.co/docs/hub/repositories-licenses",
            )

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Self:
        """From keyword arguments.

        Raises:
            UsageError: one has no such name.
        """
        names = [each.name for each in fields(cls)]
        unknown = sorted(set(given or {}) - set(names))
        if unknown:
            raise UsageError(
                f"a model card takes no {', '.join(unknown)}",
                hint=f"model_card_kwargs may have: {', '.join(names)}",
            )
        return cls(**(given or {}))
