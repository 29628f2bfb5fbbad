"""Where plugins written for the first versions find ``Features``; write ``from genmod import Features``."""

from genmod.interfaces.features import Features

__all__ = ["Features"]
