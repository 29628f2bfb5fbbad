"""The built-in components that are taken where none is named, and those that hints offer.

No other file of the core names a component.
"""

from typing import Any

__all__ = [
    "AUTOENCODER",
    "BARE",
    "BOUND",
    "BOUNDS",
    "CLASSES",
    "CONDITIONAL_SAMPLER",
    "DATASET",
    "DECODER",
    "ENCODER",
    "ESTIMATED_KL",
    "FEATURES",
    "IGNORED",
    "INDEPENDENT_VALUES",
    "LABELLED",
    "MAPS",
    "METRIC",
    "METRIC_OF_FEATURES",
    "NEGATIVE_BOUND",
    "NORMAL_LATENTS",
    "NORMAL_SAMPLER",
    "REAL_LATENTS",
    "REAL_VALUES",
    "RECIPE",
    "RECONSTRUCTION",
    "REPRODUCTION",
    "SAMPLER",
    "SMALL",
    "SUITED",
    "TRACKER",
    "USUAL",
    "VECTORS",
]

RECIPE = "vae"
AUTOENCODER = "autoencoder"
"""A recipe without a prior, on which metrics are tried."""
REPRODUCTION = "iwae"
DATASET = "digits"
SAMPLER = "gmm"
METRIC = "elbo"
TRACKER = "jsonl"
"""Has every row of a run, whichever others are asked for."""

USUAL = {"posterior": "normal", "prior": "normal", "divergence": "kl", "objective": "elbo"}
"""What most others go with."""
BARE = {"divergence": "none", "objective": "reconstruction"}
"""What goes with any posterior and prior."""
ENCODER = "mlp"
SMALL = {"name": ENCODER, "hidden": [8]}
"""An encoder or network of few weights, for trials."""
DECODER = {"name": "bernoulli", "binarize": "dynamic"}
"""A decoder for trials, of any grey pixels."""

SUITED: dict[str, Any] = {
    "vectors": {"name": "mlp"},
    "tables": {"name": "mlp", "hidden": [128, 128]},
    "named": {"name": "columns"},
    "counts": {"name": "negative-binomial"},
    "reals": {"name": "gaussian"},
}
"""Encoders of data that are no pictures, and of tables with named columns, to whose few rows wider layers adapt too closely;
decoders of such tables, of counts, of numbers without bounds."""

FEATURES = {"8×8": "digits-cnn", "classes": "classifier", "any": "pca", "unfitted": "pixel"}
"""What generated examples are compared by: 8×8 pixels, images with classes, other data, data without a training split."""
METRIC_OF_FEATURES = "fid"

VECTORS = f"--encoder {ENCODER}"
LABELLED = f"--data {DATASET}"
REAL_VALUES = "--decoder gaussian"
INDEPENDENT_VALUES = "--decoder bernoulli or --decoder gaussian"
REAL_LATENTS = "--posterior normal"
NORMAL_LATENTS = "--posterior normal --prior normal"
MAPS = "--encoder conv-map"
"""Goes with what wants maps of features."""
CLASSES = "--prior categorical or --prior autoregressive"
NORMAL_SAMPLER = "--sampler gaussian"
CONDITIONAL_SAMPLER = "--sampler flow-matching"
ESTIMATED_KL = "--divergence kl-mc"
IGNORED = "--divergence none"
BOUND = "--objective elbo"
RECONSTRUCTION = "--objective reconstruction"

BOUNDS = ("elbo", "iwae", "miwae", "vr")
"""What objectives and metrics call their bounds on the log-likelihood."""

NEGATIVE_BOUND = "nll"
"""What a metric calls an estimate of the log-likelihood with its sign changed."""
