"""A page to walk through the latent space of a model, served to this machine or in one file."""

from genmod.explorer.page import Page, page, standalone
from genmod.explorer.scene import scene
from genmod.explorer.server import bind, explorer_app, make_server

__all__ = ["Page", "bind", "explorer_app", "make_server", "page", "scene", "standalone"]
