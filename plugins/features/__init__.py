"""Features: numbers by which examples are compared."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "features",
    ("pixel", "PixelFeatures", "the values themselves"),
    ("pca", "PcaFeatures", "principal components of the training data"),
    ("randconv", "RandconvFeatures", "a convolutional network with random weights"),
    ("classifier", "ClassifierFeatures", "last layer of a classifier trained on the data at hand"),
    ("digits-cnn", "DigitsCnnFeatures", "last layer of a stored classifier of 8×8 digits"),
    ("inception", "InceptionFeatures", "Inception v3, as published scores are by, from a file"),
    ("vgg", "VggFeatures", "VGG with 16 layers, from a file"),
    ("dino", "DinoFeatures", "DINOv2, from a file"),
)
