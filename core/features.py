"""``Features`` under its first import path, for older plugins; new code writes ``from genmod import Features``."""

from genmod.interfaces.features import Features

__all__ = ["Features"]
