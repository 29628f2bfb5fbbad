"""Critics: what learns to judge latents or pictures."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "critic",
    ("adversarial", "AdversarialCritic", "tells latents from draws of the prior"),
    ("patch", "PatchCritic", "tells reconstructions from pictures, patch by patch"),
    ("several", "SeveralCritics", "several critics at once"),
    ("tc", "TotalCorrelationCritic", "estimates the total correlation of the latents by a density ratio"),
)
