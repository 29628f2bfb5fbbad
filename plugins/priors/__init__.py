"""Priors: distributions of latents before data are seen."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component("prior", "normal", "genmod.plugins.priors.normal:NormalPrior", "standard normal"),
    Component(
        "prior",
        "laplace",
        "genmod.plugins.priors.laplace:LaplacePrior",
        "standard Laplace, for sparse latents",
    ),
    Component(
        "prior",
        "uniform-sphere",
        "genmod.plugins.priors.uniform_sphere:UniformSpherePrior",
        "all directions of the unit sphere alike",
    ),
    Component(
        "prior",
        "gamma",
        "genmod.plugins.priors.gamma:GammaPrior",
        "gamma, over positive latents",
    ),
    Component(
        "prior",
        "autoregressive",
        "genmod.plugins.priors.autoregressive:AutoregressivePrior",
        "discrete codes one after the other",
    ),
    Component(
        "prior",
        "conditional",
        "genmod.plugins.priors.conditional:ConditionalPrior",
        "normals that depend on the label, for conditional models",
    ),
    Component(
        "prior",
        "mixture",
        "genmod.plugins.priors.mixture:MixturePrior",
        "trained mixture of normals",
    ),
    Component(
        "prior",
        "vamp",
        "genmod.plugins.priors.vamp:VampPrior",
        "mixture of the posteriors of trained pseudo-inputs",
    ),
    Component(
        "prior",
        "categorical",
        "genmod.plugins.priors.categorical:CategoricalPrior",
        "all classes alike, for exact classes",
    ),
    Component(
        "prior",
        "relaxed-categorical",
        "genmod.plugins.priors.relaxed_categorical:RelaxedCategoricalPrior",
        "all classes alike, relaxed to the simplex",
    ),
    Component(
        "prior",
        "logistic-normal",
        "genmod.plugins.priors.logistic_normal:LogisticNormalPrior",
        "softmax of standard normals, on the simplex",
    ),
    Component(
        "prior",
        "dirichlet",
        "genmod.plugins.priors.dirichlet:DirichletPrior",
        "symmetric Dirichlet, on the simplex",
    ),
    Component(
        "prior",
        "bernoulli",
        "genmod.plugins.priors.bernoulli:BernoulliPrior",
        "independent zeros and ones, for exact ones",
    ),
    Component(
        "prior",
        "relaxed-bernoulli",
        "genmod.plugins.priors.relaxed_bernoulli:RelaxedBernoulliPrior",
        "independent zeros and ones, relaxed to the numbers between",
    ),
    Component(
        "prior",
        "wrapped-normal",
        "genmod.plugins.priors.wrapped_normal:WrappedNormalPrior",
        "normal around the origin of hyperbolic space",
    ),
    Component(
        "prior",
        "flow",
        "genmod.plugins.priors.flow:FlowPrior",
        "standard normal carried through trained maps: maf, nsf, realnvp",
        requires=("zuko",),
    ),
    Component(
        "prior",
        "product",
        "genmod.plugins.priors.product:ProductPrior",
        "several priors side by side",
    ),
    Component(
        "prior",
        "none",
        "genmod.plugins.priors.none:NoPrior",
        "no prior: the model cannot be sampled by itself",
    ),
)
