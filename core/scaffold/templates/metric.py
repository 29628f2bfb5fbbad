"""How far codes are from the origin."""

from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined, mean_row

__all__ = ["TemplateMetric"]


@final
class TemplateMetric(Metric):
    """The mean squared length of the codes, ``|E_q[z]|²``."""

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        # Codes are made once, for all metrics; a number for each example lets two models be compared on the same data.
        lengths = subject.codes().means.flatten(1).square().sum(1)
        yield mean_row("code_length", lengths, "", "squared length of the mean of q(z|x)")
