"""Decoders: parameters to distributions of data, likelihoods."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "decoder",
    ("bernoulli", "BernoulliDecoder", "values 0 or 1, as binary images"),
    ("gaussian", "GaussianDecoder", "real values with normal noise"),
    ("gaussian-mixture", "GaussianMixtureDecoder", "real values of several modes"),
    ("continuous-bernoulli", "ContinuousBernoulliDecoder", "values between 0 and 1, as grey images"),
    ("laplace", "LaplaceDecoder", "real values with an absolute error"),
    ("student-t", "StudentTDecoder", "real values with heavy tails"),
    ("beta", "BetaDecoder", "values between 0 and 1, with both ends from the network"),
    ("categorical", "CategoricalDecoder", "a probability for each level of discrete data"),
    ("discretized-logistic", "DiscretizedLogisticDecoder", "levels with the mass of a logistic around each"),
    (
        "discretized-logistic-mixture",
        "DiscretizedLogisticMixtureDecoder",
        "levels with the mass of a mixture of logistics",
    ),
    ("poisson", "PoissonDecoder", "counts whose variance is their mean"),
    ("negative-binomial", "NegativeBinomialDecoder", "counts that vary more than Poisson's"),
    (
        "zero-inflated-negative-binomial",
        "ZeroInflatedNegativeBinomialDecoder",
        "counts that vary more than Poisson's, and more zeros",
    ),
    ("log-cosh", "LogCoshDecoder", "log-cosh error, which is no density"),
    ("ms-ssim", "MsSsimDecoder", "structural dissimilarity of images, which is no density"),
    ("columns", "ColumnsDecoder", "a likelihood of its own for each column of a table"),
    ("perceptual", "PerceptualDecoder", "difference of a network's features, which is no density"),
    aliases={"columns": "mixture"},
    goes_with={
        "columns": "--data people.csv",
        **dict.fromkeys(
            ("poisson", "negative-binomial", "zero-inflated-negative-binomial"), "-s dataset.counts=true"
        ),
    },
)
