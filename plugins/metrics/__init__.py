"""Metrics: numbers about a trained model and data."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "metric", "elbo", "genmod.plugins.metrics.elbo:Elbo", "ELBO, rate, distortion and bits per dimension"
    ),
)
