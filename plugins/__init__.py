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
    Component("prior", "normal", "genmod.plugins.priors.normal:NormalPrior", "standard normal"),
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
        "objective", "elbo", "genmod.plugins.objectives.elbo:ELBO", "evidence lower bound, with a weight beta"
    ),
    Component(
        "objective",
        "reconstruction",
        "genmod.plugins.objectives.reconstruction:Reconstruction",
        "log-likelihood of the data alone",
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
        "recipe", "autoencoder", "genmod.plugins.recipes:autoencoder.toml", "deterministic autoencoder"
    ),
)


@hookimpl
def genmod_components() -> Iterator[Component]:
    yield from _COMPONENTS
