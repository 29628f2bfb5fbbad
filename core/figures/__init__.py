"""What a model makes, as pictures and as the tensors behind them."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.figures.comparison import side_by_side
    from genmod.figures.frames import reconstructed_frame, sampled_frame
    from genmod.figures.gaps import Gap, emptiest_path, gap
    from genmod.figures.grids import grid
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

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "comparison": "side_by_side",
        "frames": "reconstructed_frame sampled_frame",
        "gaps": "Gap emptiest_path gap",
        "grids": "grid",
        "latents": "Latents latents_figure",
        "picture": "Picture",
        "temperature": "origin_of_latents shown tempered",
        "traversals": "traversal variables",
        "views": "choose_examples codes observed prior_draws random_decodings reconstruction_grid sample_grid",
        "walks": "activity interpolation latent_scale slerp",
        "worst": "worst_grid",
    },
)
