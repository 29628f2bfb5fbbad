"""Recipes: whole models, each after its paper."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "recipe",
        "vae",
        "genmod.plugins.recipes:vae.toml",
        "variational autoencoder (Kingma and Welling, 2013)",
    ),
    Component(
        "recipe",
        "cvae",
        "genmod.plugins.recipes:cvae.toml",
        "conditional VAE (Sohn et al., 2015)",
    ),
    Component(
        "recipe", "beta-vae", "genmod.plugins.recipes:beta-vae.toml", "beta-VAE (Higgins et al., 2017)"
    ),
    Component(
        "recipe",
        "burgess-beta-vae",
        "genmod.plugins.recipes:burgess-beta-vae.toml",
        "beta-VAE with a growing capacity (Burgess et al., 2018)",
    ),
    Component(
        "recipe",
        "beta-tcvae",
        "genmod.plugins.recipes:beta-tcvae.toml",
        "beta-TCVAE (Chen et al., 2018)",
    ),
    Component(
        "recipe",
        "dip-vae-i",
        "genmod.plugins.recipes:dip-vae-i.toml",
        "DIP-VAE-I (Kumar et al., 2017)",
    ),
    Component(
        "recipe",
        "dip-vae-ii",
        "genmod.plugins.recipes:dip-vae-ii.toml",
        "DIP-VAE-II (Kumar et al., 2017)",
    ),
    Component(
        "recipe",
        "hsic-vae",
        "genmod.plugins.recipes:hsic-vae.toml",
        "HSIC-constrained VAE (Lopez et al., 2018)",
    ),
    Component(
        "recipe",
        "geco-vae",
        "genmod.plugins.recipes:geco-vae.toml",
        "VAE under a constraint, GECO (Rezende and Viola, 2018)",
    ),
    Component(
        "recipe",
        "infovae",
        "genmod.plugins.recipes:infovae.toml",
        "InfoVAE (Zhao et al., 2017)",
        aliases=("info-vae",),
    ),
    Component(
        "recipe",
        "wae-mmd",
        "genmod.plugins.recipes:wae-mmd.toml",
        "Wasserstein autoencoder with MMD (Tolstikhin et al., 2018)",
    ),
    Component(
        "recipe",
        "swae",
        "genmod.plugins.recipes:swae.toml",
        "sliced-Wasserstein autoencoder (Kolouri et al., 2018)",
    ),
    Component(
        "recipe",
        "s-vae",
        "genmod.plugins.recipes:s-vae.toml",
        "latents on the unit sphere (Davidson et al., 2018)",
        aliases=("svae",),
    ),
    Component(
        "recipe",
        "pvae",
        "genmod.plugins.recipes:pvae.toml",
        "latents in hyperbolic space (Mathieu et al., 2019)",
        aliases=("poincare-vae",),
    ),
    Component(
        "recipe",
        "vamp-vae",
        "genmod.plugins.recipes:vamp-vae.toml",
        "VampPrior (Tomczak and Welling, 2018)",
        aliases=("vampprior-vae",),
    ),
    Component(
        "recipe",
        "exemplar-vae",
        "genmod.plugins.recipes:exemplar-vae.toml",
        "training examples as the prior (Norouzi et al., 2020)",
    ),
    Component(
        "recipe",
        "iaf-vae",
        "genmod.plugins.recipes:iaf-vae.toml",
        "VAE with inverse autoregressive flows (Kingma et al., 2016)",
    ),
    Component(
        "recipe",
        "planar-vae",
        "genmod.plugins.recipes:planar-vae.toml",
        "VAE with planar flows (Rezende and Mohamed, 2015)",
    ),
    Component(
        "recipe",
        "nsf-vae",
        "genmod.plugins.recipes:nsf-vae.toml",
        "VAE with neural spline flows (Durkan et al., 2019)",
    ),
    Component(
        "recipe",
        "flow-prior-vae",
        "genmod.plugins.recipes:flow-prior-vae.toml",
        "VAE with an autoregressive-flow prior (Chen et al., 2016)",
    ),
    Component(
        "recipe",
        "rnvp-prior-vae",
        "genmod.plugins.recipes:rnvp-prior-vae.toml",
        "VAE with a real NVP prior (Huang et al., 2017)",
    ),
    Component(
        "recipe",
        "gm-vae",
        "genmod.plugins.recipes:gm-vae.toml",
        "mixture of normals as prior, VaDE (Jiang et al., 2016)",
        aliases=("vade",),
    ),
    Component(
        "recipe",
        "sigma-vae",
        "genmod.plugins.recipes:sigma-vae.toml",
        "VAE with calibrated noise (Rybkin et al., 2020)",
    ),
    Component(
        "recipe",
        "ms-ssim-vae",
        "genmod.plugins.recipes:ms-ssim-vae.toml",
        "VAE with structural similarity (Snell et al., 2015)",
    ),
    Component(
        "recipe",
        "zinb-vae",
        "genmod.plugins.recipes:zinb-vae.toml",
        "VAE of counts with many zeros, as scVI (Lopez et al., 2018)",
        aliases=("scvi",),
    ),
    Component(
        "recipe",
        "categorical-vae",
        "genmod.plugins.recipes:categorical-vae.toml",
        "categorical latents by Gumbel-softmax (Jang et al., 2016)",
        aliases=("cat-vae",),
    ),
    Component(
        "recipe",
        "joint-vae",
        "genmod.plugins.recipes:joint-vae.toml",
        "continuous latents and classes, JointVAE (Dupont, 2018)",
        aliases=("jointvae",),
    ),
    Component(
        "recipe",
        "iwae",
        "genmod.plugins.recipes:iwae.toml",
        "importance-weighted autoencoder (Burda et al., 2015)",
    ),
    Component(
        "recipe",
        "dreg-iwae",
        "genmod.plugins.recipes:dreg-iwae.toml",
        "IWAE, doubly reparametrised (Tucker et al., 2018)",
    ),
    Component(
        "recipe",
        "miwae",
        "genmod.plugins.recipes:miwae.toml",
        "multiply importance-weighted autoencoder (Rainforth et al., 2018)",
    ),
    Component(
        "recipe",
        "piwae",
        "genmod.plugins.recipes:piwae.toml",
        "partially importance-weighted autoencoder (Rainforth et al., 2018)",
    ),
    Component(
        "recipe",
        "ciwae",
        "genmod.plugins.recipes:ciwae.toml",
        "combination of VAE and IWAE (Rainforth et al., 2018)",
    ),
    Component(
        "recipe",
        "vr-vae",
        "genmod.plugins.recipes:vr-vae.toml",
        "VAE with the Rényi bound (Li and Turner, 2016)",
    ),
    Component(
        "recipe",
        "stl-vae",
        "genmod.plugins.recipes:stl-vae.toml",
        "VAE that sticks the landing (Roeder et al., 2017)",
    ),
    Component(
        "recipe",
        "rae-l2",
        "genmod.plugins.recipes:rae-l2.toml",
        "regularised autoencoder, small weights (Ghosh et al., 2019)",
    ),
    Component(
        "recipe",
        "rae-gp",
        "genmod.plugins.recipes:rae-gp.toml",
        "regularised autoencoder, gradient penalty (Ghosh et al., 2019)",
    ),
    Component(
        "recipe",
        "rae-sn",
        "genmod.plugins.recipes:rae-sn.toml",
        "regularised autoencoder, spectral norms (Ghosh et al., 2019)",
    ),
    Component(
        "recipe",
        "contractive-ae",
        "genmod.plugins.recipes:contractive-ae.toml",
        "contractive autoencoder (Rifai et al., 2011)",
    ),
    Component(
        "recipe",
        "denoising-ae",
        "genmod.plugins.recipes:denoising-ae.toml",
        "denoising autoencoder (Vincent et al., 2008)",
    ),
    Component(
        "recipe",
        "two-stage-vae",
        "genmod.plugins.recipes:two-stage-vae.toml",
        "VAE, and a VAE over its codes (Dai and Wipf, 2019)",
    ),
    Component(
        "recipe", "autoencoder", "genmod.plugins.recipes:autoencoder.toml", "deterministic autoencoder"
    ),
)
