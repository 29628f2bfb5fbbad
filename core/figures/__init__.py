"""What a model makes, as pictures and as the tensors behind them."""

from genmod.figures.comparison import side_by_side
from genmod.figures.frames import reconstructed_frame, sampled_frame
from genmod.figures.gaps import Gap, emptiest_path, gap
from genmod.figures.grid import grid
from genmod.figures.latents import Latents, latents_figure
from genmod.figures.picture import Picture
from genmod.figures.temperature import origin_of_latents, shown, tempered
from genmod.figures.traversals import traversal, variables
from genmod.figures.views import (
    choose_examples,
    codes,
    observed,
    prior_draws,
    random_decodings,
    reconstruction_grid,
    sample_grid,
)
from genmod.figures.walks import activity, interpolation, latent_scale, slerp
from genmod.figures.worst import worst_grid

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
    "reconstructed_frame",
    "reconstruction_grid",
    "sample_grid",
    "sampled_frame",
    "shown",
    "side_by_side",
    "slerp",
    "tempered",
    "traversal",
    "variables",
    "worst_grid",
]
