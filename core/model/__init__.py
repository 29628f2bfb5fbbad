"""The composed model: its assembly from a specification, and its use."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.interfaces.model import GenerativeModel
    from genmod.model.assembly import open_dataset
    from genmod.model.build import build, compose
    from genmod.model.fit_sampler import fit_sampler
    from genmod.model.latent_variable import LatentVariableModel

__all__ = [
    "GenerativeModel",
    "LatentVariableModel",
    "build",
    "compose",
    "fit_sampler",
    "open_dataset",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "latent_variable": "LatentVariableModel",
        "own_loop": "GenerativeModel",
        "assembly": "open_dataset",
        "build": "build compose",
        "fit_sampler": "fit_sampler",
    },
)
