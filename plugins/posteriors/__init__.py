"""Posteriors: features to distributions of latents."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "posterior",
    ("normal", "NormalPosterior", "normal with a variance per latent"),
    ("normal-map", "NormalMapPosterior", "normal with a variance per latent, on maps"),
    ("delta", "DeltaPosterior", "a point: a plain autoencoder"),
    ("normal-full", "NormalFullPosterior", "normal with all correlations"),
    ("normal-lowrank", "NormalLowRankPosterior", "normal with a few directions of correlation"),
    ("laplace", "LaplacePosterior", "Laplace with a scale per latent"),
    ("gamma", "GammaPosterior", "gamma, over positive latents"),
    ("power-spherical", "PowerSphericalPosterior", "directions on the unit sphere, the usual choice there"),
    ("vmf", "VonMisesFisherPosterior", "von Mises-Fisher directions on the unit sphere"),
    ("relaxed-categorical", "RelaxedCategoricalPosterior", "classes by the Gumbel-softmax trick"),
    ("logistic-normal", "LogisticNormalPosterior", "probabilities, as the softmax of a normal"),
    ("relaxed-bernoulli", "RelaxedBernoulliPosterior", "zeros and ones by the binary Concrete relaxation"),
    ("wrapped-normal", "WrappedNormalPosterior", "normal wrapped around hyperbolic space"),
    ("flow", "FlowPosterior", "normal carried through invertible maps: iaf, nsf, planar and others"),
    ("hierarchical", "HierarchicalPosterior", "groups of normals, each given those above it; ladders too"),
    (
        "top-down",
        "TopDownPosterior",
        "groups of maps from coarse to fine, relative to the prior: VDVAE, NVAE",
    ),
    ("vq", "VQPosterior", "the nearest vectors of a learned codebook: VQ-VAE"),
    ("residual-vq", "ResidualVQPosterior", "sums of vectors from several learned codebooks: RQ-VAE"),
    ("fsq", "FSQPosterior", "numbers rounded to a few levels: finite scalar quantisation"),
    ("lfq", "LFQPosterior", "signs of numbers: lookup-free quantisation"),
    ("hmc", "HMCPosterior", "normal moved along log p(x, z) by Hamiltonian dynamics: Hamiltonian VAE"),
    (
        "rhvae",
        "RHVAEPosterior",
        "normal moved along log p(x, z) under a learned metric: RHVAE",
    ),
    ("semi-amortised", "SemiAmortisedPosterior", "normal refined by gradient steps on each example: SA-VAE"),
    ("product", "ProductPosterior", "several posteriors side by side, as for continuous latents and classes"),
    requires={"flow": "zuko"},
    # Revision 1 computed densities of draws at the edge of the support, or with strong correlations, at rounded values.
    revisions={
        "relaxed-bernoulli": 2,
        "relaxed-categorical": 2,
        "logistic-normal": 2,
        "wrapped-normal": 2,
        "normal-full": 2,
        "product": 2,
    },
)
