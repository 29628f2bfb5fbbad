"""Objectives: losses that training minimises."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "objective",
    ("elbo", "ELBO", "evidence lower bound, with a weight beta"),
    ("reconstruction", "Reconstruction", "log-likelihood of the data alone"),
    ("geco", "GECO", "least rate for a given distortion, by a multiplier that adapts"),
    ("iwae", "IWAE", "importance-weighted bound of K draws"),
    ("dreg", "DReG", "importance-weighted bound, doubly reparametrised gradient"),
    ("stl", "StickingTheLanding", "ELBO, its gradient through the draws alone"),
    ("vr", "VR", "variational Rényi bound"),
    ("miwae", "MIWAE", "mean of M importance-weighted bounds of K draws"),
    ("piwae", "PIWAE", "one bound for the encoder, a tighter one for the decoder"),
    ("ciwae", "CIWAE", "ELBO and importance-weighted bound, mixed"),
    goes_with={
        "ciwae": "--divergence none",
        "dreg": "--divergence none",
        "iwae": "--divergence none",
        "miwae": "--divergence none",
        "piwae": "--divergence none",
        "reconstruction": "--divergence none",
        "stl": "--divergence none",
        "vr": "--divergence none",
    },
)
