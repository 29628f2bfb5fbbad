"""Posteriors: features to distributions of latents."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "posterior",
        "normal",
        "genmod.plugins.posteriors.normal:NormalPosterior",
        "normal with a variance per latent",
    ),
    Component(
        "posterior", "delta", "genmod.plugins.posteriors.delta:DeltaPosterior", "a point: a plain autoencoder"
    ),
    Component(
        "posterior",
        "normal-full",
        "genmod.plugins.posteriors.normal_full:NormalFullPosterior",
        "normal with all correlations",
    ),
    Component(
        "posterior",
        "normal-lowrank",
        "genmod.plugins.posteriors.normal_lowrank:NormalLowRankPosterior",
        "normal with a few directions of correlation",
    ),
    Component(
        "posterior",
        "laplace",
        "genmod.plugins.posteriors.laplace:LaplacePosterior",
        "Laplace with a scale per latent",
    ),
    Component(
        "posterior",
        "gamma",
        "genmod.plugins.posteriors.gamma:GammaPosterior",
        "gamma, over positive latents",
    ),
    Component(
        "posterior",
        "power-spherical",
        "genmod.plugins.posteriors.power_spherical:PowerSphericalPosterior",
        "directions on the unit sphere, the usual choice there",
    ),
    Component(
        "posterior",
        "vmf",
        "genmod.plugins.posteriors.vmf:VonMisesFisherPosterior",
        "von Mises-Fisher directions on the unit sphere",
    ),
    Component(
        "posterior",
        "relaxed-categorical",
        "genmod.plugins.posteriors.relaxed_categorical:RelaxedCategoricalPosterior",
        "classes by the Gumbel-softmax trick",
    ),
    Component(
        "posterior",
        "logistic-normal",
        "genmod.plugins.posteriors.logistic_normal:LogisticNormalPosterior",
        "probabilities, as the softmax of a normal",
    ),
    Component(
        "posterior",
        "relaxed-bernoulli",
        "genmod.plugins.posteriors.relaxed_bernoulli:RelaxedBernoulliPosterior",
        "zeros and ones by the binary Concrete relaxation",
    ),
    Component(
        "posterior",
        "wrapped-normal",
        "genmod.plugins.posteriors.wrapped_normal:WrappedNormalPosterior",
        "normal wrapped around hyperbolic space",
    ),
    Component(
        "posterior",
        "flow",
        "genmod.plugins.posteriors.flow:FlowPosterior",
        "normal carried through invertible maps: iaf, nsf, planar and others",
        requires=("zuko",),
    ),
    Component(
        "posterior",
        "product",
        "genmod.plugins.posteriors.product:ProductPosterior",
        "several posteriors side by side, as for continuous latents and classes",
    ),
)
