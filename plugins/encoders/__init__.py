"""Encoders: data to features."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
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
        "encoder",
        "resnet",
        "genmod.plugins.encoders.resnet:ResnetEncoder",
        "residual convolutions, for images",
    ),
    Component(
        "encoder",
        "transformer",
        "genmod.plugins.encoders.transformer:TransformerEncoder",
        "attention between patches, for images",
        aliases=("vit",),
    ),
    Component(
        "encoder",
        "gated-mlp",
        "genmod.plugins.encoders.gated_mlp:GatedMlpEncoder",
        "gated linear layers, for data of any shape",
    ),
    Component(
        "encoder",
        "identity",
        "genmod.plugins.encoders.identity:IdentityEncoder",
        "the data as they are: a linear encoder with most posteriors",
        aliases=("linear",),
    ),
    Component(
        "encoder",
        "pretrained",
        "genmod.plugins.encoders.pretrained:PretrainedEncoder",
        "features of a network of torchvision, for images",
    ),
)
