"""Priors: distributions of latents before data are seen."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "prior",
    ("normal", "NormalPrior", "standard normal"),
    ("laplace", "LaplacePrior", "standard Laplace, for sparse latents"),
    ("uniform-sphere", "UniformSpherePrior", "all directions of the unit sphere alike"),
    ("gamma", "GammaPrior", "gamma, over positive latents"),
    ("autoregressive", "AutoregressivePrior", "discrete codes one after the other"),
    ("pixelcnn", "PixelCNNPrior", "discrete codes of a map, row by row, by gated convolutions"),
    ("transformer", "TransformerPrior", "discrete codes one after the other, by attention"),
    ("conditional", "ConditionalPrior", "normals that depend on the label, for conditional models"),
    ("mixture", "MixturePrior", "trained mixture of normals"),
    ("vamp", "VampPrior", "mixture of the posteriors of trained pseudo-inputs"),
    ("categorical", "CategoricalPrior", "all classes alike, for exact classes"),
    ("relaxed-categorical", "RelaxedCategoricalPrior", "all classes alike, relaxed to the simplex"),
    ("logistic-normal", "LogisticNormalPrior", "softmax of standard normals, on the simplex"),
    ("dirichlet", "DirichletPrior", "symmetric Dirichlet, on the simplex"),
    ("bernoulli", "BernoulliPrior", "independent zeros and ones, for exact ones"),
    (
        "relaxed-bernoulli",
        "RelaxedBernoulliPrior",
        "independent zeros and ones, relaxed to the numbers between",
    ),
    ("wrapped-normal", "WrappedNormalPrior", "normal around the origin of hyperbolic space"),
    ("flow", "FlowPrior", "standard normal carried through trained maps: maf, nsf, realnvp"),
    (
        "flow-matching",
        "FlowMatchingPrior",
        "a velocity that carries noise to latents, matched to those of the data",
    ),
    ("hierarchical", "HierarchicalPrior", "groups of normals, each given those above it"),
    ("top-down", "TopDownPrior", "groups of maps from coarse to fine, on a path of residual blocks"),
    ("product", "ProductPrior", "several priors side by side"),
    ("none", "NoPrior", "no prior: the model cannot be sampled by itself"),
    requires={"flow": "zuko"},
    # Revision 1 computed densities of draws at the edge of the support, or with strong correlations, at rounded values.
    revisions={
        "relaxed-bernoulli": 2,
        "relaxed-categorical": 2,
        "logistic-normal": 2,
        "wrapped-normal": 2,
        "dirichlet": 2,
        "gamma": 2,
        "product": 2,
    },
)
