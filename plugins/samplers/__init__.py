"""Samplers: distributions fitted to the codes of a trained model."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "sampler",
    ("gaussian", "GaussianSampler", "one normal with all correlations"),
    ("gmm", "GmmSampler", "mixture of normals, the usual choice"),
    ("kde", "KdeSampler", "a narrow normal around each code"),
    ("flow", "FlowSampler", "autoregressive normalising flow"),
    ("vae", "VaeSampler", "a second VAE over the codes: two stages"),
    (
        "riemannian",
        "RiemannianSampler",
        "chains that explore where a metric is wide, as that of posterior rhvae",
    ),
    ("flow-matching", "FlowMatchingSampler", "a velocity that carries noise to codes, for vectors and maps"),
)
