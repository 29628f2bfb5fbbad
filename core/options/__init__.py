"""Options of components: declared by signatures, validated once. No torch."""

from genmod.options.schedule import Schedule
from genmod.options.schema import Activation, Doc

__all__ = [
    "Activation",
    "Doc",
    "Schedule",
]
