"""Numbers about a model, each with its definition and its uncertainty."""

from genmod.evaluation.featured import (
    Compared,
    FeaturesName,
    FromSource,
    SampleCount,
    WithNoise,
    checked_features,
    compared,
    featured,
    named_features,
)
from genmod.evaluation.impossible import ImpossibleError, impossible_rate
from genmod.evaluation.information import binned, entropy, mutual_information
from genmod.evaluation.metric import Metric
from genmod.evaluation.neighbours import distances_by_rows, nearest, squared_distances
from genmod.evaluation.row import (
    Evaluation,
    Row,
    Undefined,
    bits_per_dim,
    given_exposure,
    mean_row,
    no_bits,
    spread,
)
from genmod.evaluation.runner import evaluate
from genmod.evaluation.spectrum import NO_POWER, Bands, frequencies, octaves, power_spectrum
from genmod.evaluation.subject import Coded, Part, Subject
from genmod.model.importance import LogMeanExp, importance_bounds, latents_that_fit
from genmod.model.pieces import draws_at_once, log_likelihood
from genmod.model.score import log_units

__all__ = [
    "NO_POWER",
    "Bands",
    "Coded",
    "Compared",
    "Evaluation",
    "FeaturesName",
    "FromSource",
    "ImpossibleError",
    "LogMeanExp",
    "Metric",
    "Part",
    "Row",
    "SampleCount",
    "Subject",
    "Undefined",
    "WithNoise",
    "binned",
    "bits_per_dim",
    "checked_features",
    "compared",
    "distances_by_rows",
    "draws_at_once",
    "entropy",
    "evaluate",
    "featured",
    "frequencies",
    "given_exposure",
    "importance_bounds",
    "impossible_rate",
    "latents_that_fit",
    "log_likelihood",
    "log_units",
    "mean_row",
    "mutual_information",
    "named_features",
    "nearest",
    "no_bits",
    "octaves",
    "power_spectrum",
    "spread",
    "squared_distances",
]
