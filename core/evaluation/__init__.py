"""Numbers about a model, each with its definition and its uncertainty."""

from genmod.evaluation.bits import bits_per_dim
from genmod.evaluation.metric import Metric
from genmod.evaluation.neighbours import nearest
from genmod.evaluation.row import Evaluation, Row, Undefined, mean_row
from genmod.evaluation.runner import evaluate
from genmod.evaluation.subject import Coded, Subject

__all__ = [
    "Coded",
    "Evaluation",
    "Metric",
    "Row",
    "Subject",
    "Undefined",
    "bits_per_dim",
    "evaluate",
    "mean_row",
    "nearest",
]
