"""Datasets: where data come from."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
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
)
