"""Divergences: how far posteriors are from the prior."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "divergence",
    ("kl", "KL", "KL divergence in closed form"),
    ("kl-mc", "MonteCarloKL", "KL divergence estimated from samples"),
    ("none", "NoDivergence", "zero: the latents are free"),
    ("reverse-kl", "ReverseKL", "KL divergence of the prior from the posterior"),
    ("jeffreys", "Jeffreys", "KL divergence in both directions, added up"),
    ("renyi", "Renyi", "Rényi divergence between normals, closed form"),
    ("wasserstein2", "Wasserstein2", "squared Wasserstein distance between normals, closed form"),
    ("mmd", "MMD", "kernel distance of aggregate posterior and prior"),
    ("sliced-wasserstein", "SlicedWasserstein", "Wasserstein distance of random projections to the prior"),
    ("tc", "TotalCorrelation", "the KL in three parts, each with a weight, as in beta-TCVAE"),
    ("dip-i", "DipI", "KL and a penalty on the covariance of the posterior means"),
    ("dip-ii", "DipII", "KL and a penalty on the covariance of the latents"),
    ("hsic", "HSIC", "KL and a penalty on the dependence of every two latents"),
    goes_with={
        "none": "--objective ciwae",
    },
)
