"""Options of components: declared by signatures, validated once. No torch."""

from genmod.options.schedule import Schedule
from genmod.options.schema import Activation, Doc, Text, same_options, validate
from genmod.options.text import parse_call

__all__ = ["Activation", "Doc", "Schedule", "Text", "parse_call", "same_options", "validate"]
