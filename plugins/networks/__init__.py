"""Networks: latents to parameters of a likelihood."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "network",
    ("mlp", "MlpNetwork", "fully connected layers"),
    ("conv", "ConvNetwork", "upsampling convolutions, for images"),
    ("resnet", "ResnetNetwork", "residual upsampling convolutions, for images"),
    ("conv-map", "ConvMapNetwork", "residual convolutions from a map, for images"),
    (
        "autoencoder-2d",
        "Autoencoder2dNetwork",
        "residual convolutions of AutoencoderKL from a map, for images",
    ),
    ("conv-up", "ConvUpNetwork", "transposed convolutions from a map, for images"),
    ("transformer", "TransformerNetwork", "attention between patches, for images"),
    ("gated-mlp", "GatedMlpNetwork", "gated linear layers"),
    ("linear", "LinearNetwork", "one linear map"),
    aliases={"transformer": "vit"},
    goes_with={"conv-up": "--latent 4x2x2"},
)
