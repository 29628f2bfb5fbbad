"""Numbers about a model, each with its definition and its uncertainty."""

from genmod.evaluation.bounds import Evaluation, Row, bits_per_dim, evaluate

__all__ = ["Evaluation", "Row", "bits_per_dim", "evaluate"]
