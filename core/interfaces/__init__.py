"""The abstract class of each kind of component: its arguments, its results and its laws."""

from genmod.interfaces.critic import Critic
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.features import Features
from genmod.interfaces.format import Format, Incoming
from genmod.interfaces.given import GivenModel
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.network import Network
from genmod.interfaces.objective import Objective, Terms
from genmod.interfaces.part import Draw, Loss, ParameterGroup, Part
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior
from genmod.interfaces.sampler import Sampler
from genmod.interfaces.tracker import Tracker

__all__ = [
    "Critic",
    "Decoder",
    "Divergence",
    "Draw",
    "Encoder",
    "Features",
    "Format",
    "GenerativeModel",
    "GivenModel",
    "Incoming",
    "Loss",
    "Network",
    "Objective",
    "ParameterGroup",
    "Part",
    "Posterior",
    "Prior",
    "Sampler",
    "Terms",
    "Tracker",
]
