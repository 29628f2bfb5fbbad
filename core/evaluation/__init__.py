"""Numbers about a model, each with its definition and its uncertainty."""

from genmod.evaluation.neighbours import nearest
from genmod.evaluation.row import Evaluation, Row, Undefined, bits_per_dim, mean_row
from genmod.evaluation.runner import evaluate
from genmod.evaluation.subject import Coded, Subject

__all__ = [
    "Coded",
    "Evaluation",
    "Row",
    "Subject",
    "Undefined",
    "bits_per_dim",
    "evaluate",
    "mean_row",
    "nearest",
]
