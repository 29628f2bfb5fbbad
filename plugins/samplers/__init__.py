"""Samplers: distributions fitted to the codes of a trained model."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "sampler",
        "gaussian",
        "genmod.plugins.samplers.gaussian:GaussianSampler",
        "one normal with all correlations",
    ),
    Component(
        "sampler",
        "gmm",
        "genmod.plugins.samplers.gmm:GmmSampler",
        "mixture of normals, the usual choice",
    ),
    Component(
        "sampler",
        "kde",
        "genmod.plugins.samplers.kde:KdeSampler",
        "a narrow normal around each code",
    ),
    Component(
        "sampler",
        "flow",
        "genmod.plugins.samplers.flow:FlowSampler",
        "autoregressive normalising flow",
    ),
    Component(
        "sampler",
        "vae",
        "genmod.plugins.samplers.vae:VaeSampler",
        "a second VAE over the codes: two stages",
    ),
)
