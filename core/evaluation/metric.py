"""Metrics: named numbers about a trained model and data."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from genmod.evaluation.row import Row, Undefined
from genmod.evaluation.subject import Subject
from genmod.system.explained import explained

__all__ = ["Metric"]


@explained
class Metric(ABC):
    """Measures a model on data.

    ``subject → rows``: each a number with its standard error, the number of examples, and its definition.

    The laws: the same subject and seed give the same numbers, bit for bit, whichever metrics were measured before;
    the model, its mode, the data and the global random state do not change; an undefined number is refused with the
    reason.

    It is called without gradients; a metric that needs them enables them.
    """

    main: ClassVar[str] = ""
    """The option that ``--metric 'NAME[VALUE]'`` sets, where there is one.

    With ``main = "features"``, ``--metric 'fid[pixel]'`` is ``fid`` with ``features=pixel``. The names of its rows then have
    the value in brackets, ``fid[pixel]``, so that several can stand side by side, in tables and in the record.
    """

    @abstractmethod
    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        """The numbers of a model on its data.

        Raises:
            UndefinedError: this model or these data have none of them.
        """
