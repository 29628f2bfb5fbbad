"""Trackers: where metrics of a run are written."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "tracker",
    ("jsonl", "Jsonl", "metrics.jsonl, which every run has"),
    ("csv", "Csv", "a table, metrics.csv"),
    ("tensorboard", "TensorBoard", "event files for TensorBoard"),
    ("wandb", "WandB", "Weights & Biases, offline by default"),
    ("mlflow", "MLflow", "MLflow, in a database of its own or on a server"),
    requires={"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"},
)
