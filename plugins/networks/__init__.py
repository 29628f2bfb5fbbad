"""Networks: latents to parameters of a likelihood."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component("network", "mlp", "genmod.plugins.networks.mlp:MlpNetwork", "fully connected layers"),
    Component(
        "network", "conv", "genmod.plugins.networks.conv:ConvNetwork", "upsampling convolutions, for images"
    ),
    Component(
        "network",
        "resnet",
        "genmod.plugins.networks.resnet:ResnetNetwork",
        "residual upsampling convolutions, for images",
    ),
    Component(
        "network",
        "transformer",
        "genmod.plugins.networks.transformer:TransformerNetwork",
        "attention between patches, for images",
        aliases=("vit",),
    ),
    Component(
        "network", "gated-mlp", "genmod.plugins.networks.gated_mlp:GatedMlpNetwork", "gated linear layers"
    ),
    Component("network", "linear", "genmod.plugins.networks.linear:LinearNetwork", "one linear map"),
)
