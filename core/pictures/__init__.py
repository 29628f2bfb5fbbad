"""What a model makes, as pictures and as the tensors behind them."""

from genmod.pictures.grid import grid
from genmod.pictures.picture import Picture
from genmod.pictures.views import (
    choose_examples,
    codes,
    observed,
    prior_draws,
    random_decodings,
    reconstruction_grid,
    sample_grid,
)
from genmod.pictures.walks import activity, interpolation, latent_scale, slerp, traversal

__all__ = [
    "Picture",
    "activity",
    "choose_examples",
    "codes",
    "grid",
    "interpolation",
    "latent_scale",
    "observed",
    "prior_draws",
    "random_decodings",
    "reconstruction_grid",
    "sample_grid",
    "slerp",
    "traversal",
]
