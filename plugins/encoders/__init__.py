"""Encoders: data to features."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "encoder",
    ("mlp", "MlpEncoder", "fully connected layers, for data of any shape"),
    ("conv", "ConvEncoder", "strided convolutions, for images"),
    ("resnet", "ResnetEncoder", "residual convolutions, for images"),
    ("conv-map", "ConvMapEncoder", "residual convolutions that keep a map, for images"),
    (
        "autoencoder-2d",
        "Autoencoder2dEncoder",
        "residual convolutions of AutoencoderKL that keep a map, for images",
    ),
    ("pyramid", "PyramidEncoder", "residual convolutions that hand on several resolutions, for images"),
    ("transformer", "TransformerEncoder", "attention between patches, for images"),
    ("gated-mlp", "GatedMlpEncoder", "gated linear layers, for data of any shape"),
    ("identity", "IdentityEncoder", "the data as they are: a linear encoder with most posteriors"),
    ("pretrained", "PretrainedEncoder", "features of a network of torchvision, for images"),
    aliases={"transformer": "vit", "identity": "linear"},
)
