"""The training loop: steps, checkpoints, resuming, processes."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.training.settings import TrainSettings
    from genmod.training.train import train

__all__ = [
    "TrainSettings",
    "train",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "train": "train",
        "settings": "TrainSettings",
    },
)
