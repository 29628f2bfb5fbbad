"""Trackers: where metrics of a run go."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "tracker", "jsonl", "genmod.plugins.trackers.jsonl:Jsonl", "metrics.jsonl, which every run has"
    ),
    Component("tracker", "csv", "genmod.plugins.trackers.csv:Csv", "a table, metrics.csv"),
    Component(
        "tracker",
        "tensorboard",
        "genmod.plugins.trackers.tensorboard:TensorBoard",
        "event files for TensorBoard",
        requires=("tensorboard",),
    ),
    Component(
        "tracker",
        "wandb",
        "genmod.plugins.trackers.wandb:WandB",
        "Weights & Biases, offline unless asked otherwise",
        requires=("wandb",),
    ),
    Component(
        "tracker",
        "mlflow",
        "genmod.plugins.trackers.mlflow:MLflow",
        "MLflow, in a database of its own or on a server",
        requires=("mlflow",),
    ),
)
