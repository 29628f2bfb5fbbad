"""Published experiments as files: what is run, what the paper found, and what comes out here."""

from genmod.reproduction.experiment import Reproduction, Trial
from genmod.reproduction.run import reproduce

__all__ = ["Reproduction", "Trial", "reproduce"]
