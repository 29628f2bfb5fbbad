"""Whole models: what generates data without latents to encode."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "model",
    ("flow", "FlowModel", "a normalising flow of the data, with their exact density"),
    ("pixelcnn", "PixelCNNModel", "pixels drawn one after the other, with their exact probability"),
)
