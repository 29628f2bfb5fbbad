"""Objectives: what is minimised."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "objective", "elbo", "genmod.plugins.objectives.elbo:ELBO", "evidence lower bound, with a weight beta"
    ),
    Component(
        "objective",
        "reconstruction",
        "genmod.plugins.objectives.reconstruction:Reconstruction",
        "log-likelihood of the data alone",
    ),
    Component(
        "objective",
        "geco",
        "genmod.plugins.objectives.geco:GECO",
        "least rate for a given distortion, by a multiplier that adapts",
    ),
    Component(
        "objective",
        "iwae",
        "genmod.plugins.objectives.iwae:IWAE",
        "importance-weighted bound of K draws",
    ),
    Component(
        "objective",
        "dreg",
        "genmod.plugins.objectives.dreg:DReG",
        "importance-weighted bound, doubly reparametrised gradient",
    ),
    Component(
        "objective",
        "stl",
        "genmod.plugins.objectives.stl:StickingTheLanding",
        "ELBO, its gradient through the draws alone",
    ),
    Component(
        "objective",
        "vr",
        "genmod.plugins.objectives.vr:VR",
        "variational Rényi bound",
    ),
    Component(
        "objective",
        "miwae",
        "genmod.plugins.objectives.miwae:MIWAE",
        "mean of M importance-weighted bounds of K draws",
    ),
    Component(
        "objective",
        "piwae",
        "genmod.plugins.objectives.piwae:PIWAE",
        "one bound for the encoder, a tighter one for the decoder",
    ),
    Component(
        "objective",
        "ciwae",
        "genmod.plugins.objectives.ciwae:CIWAE",
        "ELBO and importance-weighted bound, mixed",
    ),
)
