"""Recipes: models of published papers, each in a TOML file that begins with its summary."""

import os

from genmod import Component

__all__ = ["COMPONENTS"]

_ALIASES = {
    "categorical-vae": "cat-vae",
    "gm-vae": "vade",
    "infovae": "info-vae",
    "joint-vae": "jointvae",
    "pvae": "poincare-vae",
    "s-vae": "svae",
    "vamp-vae": "vampprior-vae",
    "zinb-vae": "scvi",
}


_FOLDER = os.path.dirname(__file__)


def _summary(file: str) -> str:
    """From ``summary = "…"`` in the first line: to parse all files takes 40 ms, to read one line of each takes 1."""
    with open(os.path.join(_FOLDER, file), "rb") as lines:
        return lines.readline().decode().split('"')[1]


def _recipe(file: str) -> Component:
    name = file.removesuffix(".toml")
    aliases = (_ALIASES[name],) if name in _ALIASES else ()
    return Component("recipe", name, f"genmod.plugins.recipes:{file}", _summary(file), aliases)


COMPONENTS = tuple(_recipe(file) for file in sorted(os.listdir(_FOLDER)) if file.endswith(".toml"))
