"""Published experiments as files: what is run, what the paper found, and what comes out here."""

from genmod.experiments.experiment import Reproduction, Trial

__all__ = ["Reproduction", "Trial"]
