"""What a model makes, as pictures and as the tensors behind them."""

from genmod.pictures.comparison import side_by_side
from genmod.pictures.gaps import Gap, emptiest_path, gap
from genmod.pictures.grid import grid
from genmod.pictures.latents import Latents, latents_figure
from genmod.pictures.picture import Picture
from genmod.pictures.space import space_of
from genmod.pictures.temperature import origin_of_latents, tempered
from genmod.pictures.traversals import traversal, variables
from genmod.pictures.views import (
    choose_examples,
    codes,
    observed,
    prior_draws,
    random_decodings,
    reconstruction_grid,
    sample_grid,
)
from genmod.pictures.walks import activity, interpolation, latent_scale, slerp

__all__ = [
    "Gap",
    "Latents",
    "Picture",
    "activity",
    "choose_examples",
    "codes",
    "emptiest_path",
    "gap",
    "grid",
    "interpolation",
    "latent_scale",
    "latents_figure",
    "observed",
    "origin_of_latents",
    "prior_draws",
    "random_decodings",
    "reconstruction_grid",
    "sample_grid",
    "side_by_side",
    "slerp",
    "space_of",
    "tempered",
    "traversal",
    "variables",
]
