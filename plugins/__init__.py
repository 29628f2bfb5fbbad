"""The built-in components, contributed as any plugin contributes its own; imports no torch."""

from collections.abc import Iterator

from genmod import Component, hookimpl

__all__ = ["genmod_components"]

_COMPONENTS = (
    Component(
        "encoder",
        "mlp",
        "genmod.plugins.encoders.mlp:MlpEncoder",
        "fully connected layers, for data of any shape",
    ),
    Component(
        "encoder", "conv", "genmod.plugins.encoders.conv:ConvEncoder", "strided convolutions, for images"
    ),
    Component(
        "posterior",
        "normal",
        "genmod.plugins.posteriors.normal:NormalPosterior",
        "normal with a variance per latent",
    ),
    Component(
        "posterior", "delta", "genmod.plugins.posteriors.delta:DeltaPosterior", "a point: a plain autoencoder"
    ),
    Component(
        "posterior",
        "normal-full",
        "genmod.plugins.posteriors.normal_full:NormalFullPosterior",
        "normal with all correlations",
    ),
    Component(
        "posterior",
        "normal-lowrank",
        "genmod.plugins.posteriors.normal_lowrank:NormalLowRankPosterior",
        "normal with a few directions of correlation",
    ),
    Component(
        "posterior",
        "laplace",
        "genmod.plugins.posteriors.laplace:LaplacePosterior",
        "Laplace with a scale per latent",
    ),
    Component(
        "posterior",
        "gamma",
        "genmod.plugins.posteriors.gamma:GammaPosterior",
        "gamma, over positive latents",
    ),
    Component(
        "posterior",
        "power-spherical",
        "genmod.plugins.posteriors.power_spherical:PowerSphericalPosterior",
        "directions on the unit sphere, the usual choice there",
    ),
    Component(
        "posterior",
        "vmf",
        "genmod.plugins.posteriors.vmf:VonMisesFisherPosterior",
        "von Mises-Fisher directions on the unit sphere",
    ),
    Component(
        "posterior",
        "relaxed-categorical",
        "genmod.plugins.posteriors.relaxed_categorical:RelaxedCategoricalPosterior",
        "classes by the Gumbel-softmax trick",
    ),
    Component("prior", "normal", "genmod.plugins.priors.normal:NormalPrior", "standard normal"),
    Component(
        "prior",
        "laplace",
        "genmod.plugins.priors.laplace:LaplacePrior",
        "standard Laplace, for sparse latents",
    ),
    Component(
        "prior",
        "uniform-sphere",
        "genmod.plugins.priors.uniform_sphere:UniformSpherePrior",
        "all directions of the unit sphere alike",
    ),
    Component(
        "prior",
        "gamma",
        "genmod.plugins.priors.gamma:GammaPrior",
        "gamma, over positive latents",
    ),
    Component(
        "prior",
        "mixture",
        "genmod.plugins.priors.mixture:MixturePrior",
        "trained mixture of normals",
    ),
    Component(
        "prior",
        "vamp",
        "genmod.plugins.priors.vamp:VampPrior",
        "mixture of the posteriors of trained pseudo-inputs",
    ),
    Component(
        "prior",
        "categorical",
        "genmod.plugins.priors.categorical:CategoricalPrior",
        "all classes alike, for exact classes",
    ),
    Component(
        "prior",
        "relaxed-categorical",
        "genmod.plugins.priors.relaxed_categorical:RelaxedCategoricalPrior",
        "all classes alike, relaxed to the simplex",
    ),
    Component(
        "prior",
        "none",
        "genmod.plugins.priors.none:NoPrior",
        "no prior: the model cannot be sampled by itself",
    ),
    Component(
        "decoder",
        "bernoulli",
        "genmod.plugins.decoders.bernoulli:BernoulliDecoder",
        "values 0 or 1, as binary images",
    ),
    Component(
        "decoder",
        "gaussian",
        "genmod.plugins.decoders.gaussian:GaussianDecoder",
        "real values with normal noise",
    ),
    Component(
        "decoder",
        "continuous-bernoulli",
        "genmod.plugins.decoders.continuous_bernoulli:ContinuousBernoulliDecoder",
        "values between 0 and 1, as grey images",
    ),
    Component(
        "decoder",
        "laplace",
        "genmod.plugins.decoders.laplace:LaplaceDecoder",
        "real values with an absolute error",
    ),
    Component(
        "decoder",
        "student-t",
        "genmod.plugins.decoders.student_t:StudentTDecoder",
        "real values with heavy tails",
    ),
    Component(
        "decoder",
        "beta",
        "genmod.plugins.decoders.beta:BetaDecoder",
        "values between 0 and 1, with both ends from the network",
    ),
    Component(
        "decoder",
        "categorical",
        "genmod.plugins.decoders.categorical:CategoricalDecoder",
        "a probability for each level of discrete data",
    ),
    Component(
        "decoder",
        "discretized-logistic",
        "genmod.plugins.decoders.discretized_logistic:DiscretizedLogisticDecoder",
        "levels with the mass of a logistic around each",
    ),
    Component(
        "decoder",
        "discretized-logistic-mixture",
        "genmod.plugins.decoders.discretized_logistic_mixture:DiscretizedLogisticMixtureDecoder",
        "levels with the mass of a mixture of logistics",
    ),
    Component(
        "decoder",
        "poisson",
        "genmod.plugins.decoders.poisson:PoissonDecoder",
        "counts whose variance is their mean",
    ),
    Component(
        "decoder",
        "negative-binomial",
        "genmod.plugins.decoders.negative_binomial:NegativeBinomialDecoder",
        "counts that vary more than Poisson's",
    ),
    Component(
        "decoder",
        "zero-inflated-negative-binomial",
        "genmod.plugins.decoders.zero_inflated_negative_binomial:ZeroInflatedNegativeBinomialDecoder",
        "such counts with additional zeros",
    ),
    Component(
        "decoder",
        "log-cosh",
        "genmod.plugins.decoders.log_cosh:LogCoshDecoder",
        "log-cosh error, which is no density",
    ),
    Component(
        "decoder",
        "ms-ssim",
        "genmod.plugins.decoders.ms_ssim:MsSsimDecoder",
        "structural dissimilarity of images, which is no density",
    ),
    Component("network", "mlp", "genmod.plugins.networks.mlp:MlpNetwork", "fully connected layers"),
    Component(
        "network", "conv", "genmod.plugins.networks.conv:ConvNetwork", "upsampling convolutions, for images"
    ),
    Component("divergence", "kl", "genmod.plugins.divergences.kl:KL", "KL divergence in closed form"),
    Component(
        "divergence",
        "kl-mc",
        "genmod.plugins.divergences.kl_mc:MonteCarloKL",
        "KL divergence estimated from samples",
    ),
    Component(
        "divergence",
        "none",
        "genmod.plugins.divergences.none:NoDivergence",
        "zero: the latents are left free",
    ),
    Component(
        "divergence",
        "reverse-kl",
        "genmod.plugins.divergences.reverse_kl:ReverseKL",
        "KL divergence of the prior from the posterior",
    ),
    Component(
        "divergence",
        "jeffreys",
        "genmod.plugins.divergences.jeffreys:Jeffreys",
        "KL divergence in both directions, added up",
    ),
    Component(
        "divergence",
        "renyi",
        "genmod.plugins.divergences.renyi:Renyi",
        "Rényi divergence between normals, closed form",
    ),
    Component(
        "divergence",
        "wasserstein2",
        "genmod.plugins.divergences.wasserstein2:Wasserstein2",
        "squared Wasserstein distance between normals, closed form",
    ),
    Component(
        "divergence",
        "mmd",
        "genmod.plugins.divergences.mmd:MMD",
        "kernel distance of aggregate posterior and prior",
    ),
    Component(
        "divergence",
        "sliced-wasserstein",
        "genmod.plugins.divergences.sliced_wasserstein:SlicedWasserstein",
        "Wasserstein distance of random projections to the prior",
    ),
    Component(
        "divergence",
        "tc",
        "genmod.plugins.divergences.tc:TotalCorrelation",
        "the KL in three parts with a weight each, as in beta-TCVAE",
    ),
    Component(
        "divergence",
        "dip-i",
        "genmod.plugins.divergences.dip_i:DipI",
        "KL and a penalty on the covariance of the posterior means",
    ),
    Component(
        "divergence",
        "dip-ii",
        "genmod.plugins.divergences.dip_ii:DipII",
        "KL and a penalty on the covariance of the latents",
    ),
    Component(
        "divergence",
        "hsic",
        "genmod.plugins.divergences.hsic:HSIC",
        "KL and a penalty on the dependence of each two latents",
    ),
    Component(
        "objective", "elbo", "genmod.plugins.objectives.elbo:ELBO", "evidence lower bound, with a weight beta"
    ),
    Component(
        "objective",
        "reconstruction",
        "genmod.plugins.objectives.reconstruction:Reconstruction",
        "log-likelihood of the data alone",
    ),
    Component(
        "objective",
        "geco",
        "genmod.plugins.objectives.geco:GECO",
        "least rate for a given distortion, by a multiplier that adapts",
    ),
    Component(
        "objective",
        "iwae",
        "genmod.plugins.objectives.iwae:IWAE",
        "importance-weighted bound of K draws",
    ),
    Component(
        "objective",
        "dreg",
        "genmod.plugins.objectives.dreg:DReG",
        "importance-weighted bound, doubly reparametrised gradient",
    ),
    Component(
        "objective",
        "stl",
        "genmod.plugins.objectives.stl:StickingTheLanding",
        "ELBO, its gradient through the draws alone",
    ),
    Component(
        "objective",
        "vr",
        "genmod.plugins.objectives.vr:VR",
        "variational Rényi bound",
    ),
    Component(
        "objective",
        "miwae",
        "genmod.plugins.objectives.miwae:MIWAE",
        "mean of M importance-weighted bounds of K draws",
    ),
    Component(
        "objective",
        "piwae",
        "genmod.plugins.objectives.piwae:PIWAE",
        "one bound for the encoder, a tighter one for the decoder",
    ),
    Component(
        "objective",
        "ciwae",
        "genmod.plugins.objectives.ciwae:CIWAE",
        "ELBO and importance-weighted bound, mixed",
    ),
    Component(
        "dataset",
        "digits",
        "genmod.plugins.datasets.digits:Digits",
        "1,797 digits of 8 x 8 pixels; needs no download",
    ),
    Component("dataset", "mnist", "genmod.plugins.datasets.mnist:MNIST", "70,000 digits of 28 x 28 pixels"),
    Component(
        "dataset",
        "fashion-mnist",
        "genmod.plugins.datasets.fashion_mnist:FashionMNIST",
        "70,000 clothes of 28 x 28 pixels",
    ),
    Component(
        "dataset",
        "cifar10",
        "genmod.plugins.datasets.cifar10:CIFAR10",
        "60,000 colour photographs of 32 x 32 pixels",
    ),
    Component(
        "dataset",
        "image-folder",
        "genmod.plugins.datasets.image_folder:ImageFolder",
        "the images of your own folder",
    ),
    Component(
        "dataset",
        "shards",
        "genmod.plugins.datasets.shards:Shards",
        "your own arrays, too large for memory",
        aliases=("npy",),
    ),
    Component("dataset", "npz", "genmod.plugins.datasets.npz:Npz", "the arrays of your own .npz file"),
    Component(
        "dataset",
        "sprites",
        "genmod.plugins.datasets.sprites:Sprites",
        "drawn shapes with known factors of variation",
    ),
    Component(
        "tracker", "jsonl", "genmod.plugins.trackers.jsonl:Jsonl", "metrics.jsonl, which every run has"
    ),
    Component("tracker", "csv", "genmod.plugins.trackers.csv:Csv", "a table, metrics.csv"),
    Component(
        "tracker",
        "tensorboard",
        "genmod.plugins.trackers.tensorboard:TensorBoard",
        "event files for TensorBoard",
        requires=("tensorboard",),
    ),
    Component(
        "tracker",
        "wandb",
        "genmod.plugins.trackers.wandb:WandB",
        "Weights & Biases, offline unless asked otherwise",
        requires=("wandb",),
    ),
    Component(
        "tracker",
        "mlflow",
        "genmod.plugins.trackers.mlflow:MLflow",
        "MLflow, in a database of its own or on a server",
        requires=("mlflow",),
    ),
    Component(
        "recipe",
        "vae",
        "genmod.plugins.recipes:vae.toml",
        "variational autoencoder (Kingma and Welling, 2013)",
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
    ),
    Component(
        "recipe",
        "vamp-vae",
        "genmod.plugins.recipes:vamp-vae.toml",
        "VampPrior (Tomczak and Welling, 2018)",
    ),
    Component(
        "recipe",
        "categorical-vae",
        "genmod.plugins.recipes:categorical-vae.toml",
        "categorical latents by Gumbel-softmax (Jang et al., 2016)",
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
        "recipe", "autoencoder", "genmod.plugins.recipes:autoencoder.toml", "deterministic autoencoder"
    ),
)


@hookimpl
def genmod_components() -> Iterator[Component]:
    yield from _COMPONENTS
