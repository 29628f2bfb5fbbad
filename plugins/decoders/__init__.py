"""Decoders: parameters to distributions of data, likelihoods."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "decoder",
        "bernoulli",
        "genmod.plugins.decoders.bernoulli:BernoulliDecoder",
        "values 0 or 1, as binary images",
    ),
    Component(
        "decoder",
        "gaussian",
        "genmod.plugins.decoders.gaussian:GaussianDecoder",
        "real values with normal noise",
    ),
    Component(
        "decoder",
        "continuous-bernoulli",
        "genmod.plugins.decoders.continuous_bernoulli:ContinuousBernoulliDecoder",
        "values between 0 and 1, as grey images",
    ),
    Component(
        "decoder",
        "laplace",
        "genmod.plugins.decoders.laplace:LaplaceDecoder",
        "real values with an absolute error",
    ),
    Component(
        "decoder",
        "student-t",
        "genmod.plugins.decoders.student_t:StudentTDecoder",
        "real values with heavy tails",
    ),
    Component(
        "decoder",
        "beta",
        "genmod.plugins.decoders.beta:BetaDecoder",
        "values between 0 and 1, with both ends from the network",
    ),
    Component(
        "decoder",
        "categorical",
        "genmod.plugins.decoders.categorical:CategoricalDecoder",
        "a probability for each level of discrete data",
    ),
    Component(
        "decoder",
        "discretized-logistic",
        "genmod.plugins.decoders.discretized_logistic:DiscretizedLogisticDecoder",
        "levels with the mass of a logistic around each",
    ),
    Component(
        "decoder",
        "discretized-logistic-mixture",
        "genmod.plugins.decoders.discretized_logistic_mixture:DiscretizedLogisticMixtureDecoder",
        "levels with the mass of a mixture of logistics",
    ),
    Component(
        "decoder",
        "poisson",
        "genmod.plugins.decoders.poisson:PoissonDecoder",
        "counts whose variance is their mean",
    ),
    Component(
        "decoder",
        "negative-binomial",
        "genmod.plugins.decoders.negative_binomial:NegativeBinomialDecoder",
        "counts that vary more than Poisson's",
    ),
    Component(
        "decoder",
        "zero-inflated-negative-binomial",
        "genmod.plugins.decoders.zero_inflated_negative_binomial:ZeroInflatedNegativeBinomialDecoder",
        "such counts with additional zeros",
    ),
    Component(
        "decoder",
        "log-cosh",
        "genmod.plugins.decoders.log_cosh:LogCoshDecoder",
        "log-cosh error, which is no density",
    ),
    Component(
        "decoder",
        "ms-ssim",
        "genmod.plugins.decoders.ms_ssim:MsSsimDecoder",
        "structural dissimilarity of images, which is no density",
    ),
    Component(
        "decoder",
        "columns",
        "genmod.plugins.decoders.columns:ColumnsDecoder",
        "a likelihood of its own for each column of a table",
        aliases=("mixture",),
    ),
    Component(
        "decoder",
        "perceptual",
        "genmod.plugins.decoders.perceptual:PerceptualDecoder",
        "difference of a network's features, which is no density",
    ),
)
