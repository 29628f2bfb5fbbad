"""Critics: what judges latents or pictures."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "critic",
    ("adversarial", "AdversarialCritic", "tells latents from draws of the prior"),
    ("lpips", "LpipsCritic", "adds LPIPS of reconstructions to the loss, and learns nothing"),
    ("patch", "PatchCritic", "tells reconstructions from pictures, patch by patch"),
    ("perceptual", "PerceptualCritic", "adds a distance by features to the loss, and learns nothing"),
    ("several", "SeveralCritics", "several critics at once"),
    ("tc", "TotalCorrelationCritic", "estimates the total correlation of the latents by a density ratio"),
)
