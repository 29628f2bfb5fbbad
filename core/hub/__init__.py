"""Models on the Hugging Face Hub: what goes up, the card that says what it is, and what is taken from there."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.hub.methods import from_pretrained, push_to_hub, save_pretrained
    from genmod.hub.pulling import Pulled, pull
    from genmod.hub.pushing import Pushed, push

__all__ = [
    "Pulled",
    "Pushed",
    "from_pretrained",
    "pull",
    "push",
    "push_to_hub",
    "save_pretrained",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "methods": "from_pretrained push_to_hub save_pretrained",
        "pulling": "Pulled pull",
        "pushing": "Pushed push",
    },
)
