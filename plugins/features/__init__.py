"""Features: what examples are compared by."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component("features", "pixel", "genmod.plugins.features.pixel:PixelFeatures", "the values themselves"),
    Component(
        "features",
        "pca",
        "genmod.plugins.features.pca:PcaFeatures",
        "principal components of the training data",
    ),
    Component(
        "features",
        "randconv",
        "genmod.plugins.features.randconv:RandconvFeatures",
        "a convolutional network with random weights",
    ),
    Component(
        "features",
        "classifier",
        "genmod.plugins.features.classifier:ClassifierFeatures",
        "last layer of a classifier trained on the data at hand",
    ),
    Component(
        "features",
        "digits-cnn",
        "genmod.plugins.features.digits_cnn:DigitsCnnFeatures",
        "last layer of a stored classifier of 8×8 digits",
    ),
    Component(
        "features",
        "inception",
        "genmod.plugins.features.inception:InceptionFeatures",
        "Inception v3, as published scores are by, from a file",
    ),
    Component("features", "dino", "genmod.plugins.features.dino:DinoFeatures", "DINOv2, from a file"),
)
