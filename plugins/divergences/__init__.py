"""Divergences: how far posteriors are from the prior."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component("divergence", "kl", "genmod.plugins.divergences.kl:KL", "KL divergence in closed form"),
    Component(
        "divergence",
        "kl-mc",
        "genmod.plugins.divergences.kl_mc:MonteCarloKL",
        "KL divergence estimated from samples",
    ),
    Component(
        "divergence",
        "none",
        "genmod.plugins.divergences.none:NoDivergence",
        "zero: the latents are left free",
    ),
    Component(
        "divergence",
        "reverse-kl",
        "genmod.plugins.divergences.reverse_kl:ReverseKL",
        "KL divergence of the prior from the posterior",
    ),
    Component(
        "divergence",
        "jeffreys",
        "genmod.plugins.divergences.jeffreys:Jeffreys",
        "KL divergence in both directions, added up",
    ),
    Component(
        "divergence",
        "renyi",
        "genmod.plugins.divergences.renyi:Renyi",
        "Rényi divergence between normals, closed form",
    ),
    Component(
        "divergence",
        "wasserstein2",
        "genmod.plugins.divergences.wasserstein2:Wasserstein2",
        "squared Wasserstein distance between normals, closed form",
    ),
    Component(
        "divergence",
        "mmd",
        "genmod.plugins.divergences.mmd:MMD",
        "kernel distance of aggregate posterior and prior",
    ),
    Component(
        "divergence",
        "sliced-wasserstein",
        "genmod.plugins.divergences.sliced_wasserstein:SlicedWasserstein",
        "Wasserstein distance of random projections to the prior",
    ),
    Component(
        "divergence",
        "tc",
        "genmod.plugins.divergences.tc:TotalCorrelation",
        "the KL in three parts with a weight each, as in beta-TCVAE",
    ),
    Component(
        "divergence",
        "dip-i",
        "genmod.plugins.divergences.dip_i:DipI",
        "KL and a penalty on the covariance of the posterior means",
    ),
    Component(
        "divergence",
        "dip-ii",
        "genmod.plugins.divergences.dip_ii:DipII",
        "KL and a penalty on the covariance of the latents",
    ),
    Component(
        "divergence",
        "hsic",
        "genmod.plugins.divergences.hsic:HSIC",
        "KL and a penalty on the dependence of each two latents",
    ),
)
