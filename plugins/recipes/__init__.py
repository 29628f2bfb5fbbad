"""Recipes: models of published papers, each in a TOML file that begins with its summary."""

from genmod.plugins._table import tables_in

__all__ = ["COMPONENTS"]

COMPONENTS = tables_in(
    "recipe",
    __file__,
    aliases={
        "categorical-vae": "cat-vae",
        "gm-vae": "vade",
        "infovae": "info-vae",
        "joint-vae": "jointvae",
        "pvae": "poincare-vae",
        "s-vae": "svae",
        "vamp-vae": "vampprior-vae",
    },
)
