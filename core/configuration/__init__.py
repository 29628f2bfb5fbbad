"""Settings from files and variables of the environment: which there are, where they may stand, and which of them holds."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.configuration.layers import Setting, holding, layers
    from genmod.configuration.places import project_file, user_file

__all__ = ["Setting", "holding", "layers", "project_file", "user_file"]

__getattr__, __dir__ = names_on_demand(
    __name__, {"layers": "Setting holding layers", "places": "project_file user_file"}
)
