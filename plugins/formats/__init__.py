"""Formats: models written for other libraries, and read from there."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "format",
    ("diffusers", "DiffusersFormat", "AutoencoderKL and VQModel of diffusers, written and read"),
)
