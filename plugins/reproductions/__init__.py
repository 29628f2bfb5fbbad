"""Reproductions: published experiments, with what their papers found."""

from genmod import Component

__all__ = ["COMPONENTS"]

_SUMMARIES = {
    "iwae": "IWAE against VAE on MNIST, one stochastic layer (Burda et al., 2015)",
    "s-vae": "spherical against normal latents on MNIST (Davidson et al., 2018)",
    "vampprior": "VampPrior against a standard prior on MNIST (Tomczak and Welling, 2018)",
    "rae": "autoencoders with fitted samplers against a VAE (Ghosh et al., 2019)",
    "beta-tcvae": "total correlation against beta: disentanglement (Chen et al., 2018)",
}

COMPONENTS = tuple(
    Component("reproduction", name, f"genmod.plugins.reproductions:{name}.toml", summary)
    for name, summary in _SUMMARIES.items()
)
