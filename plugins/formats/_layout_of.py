"""The layout that a model of genmod has in diffusers, where it has one."""

import torch
from torch import nn

from genmod import LatentVariableModel, UsageError
from genmod.plugins.encoders.autoencoder_2d import Autoencoder2dEncoder
from genmod.plugins.formats._layout import Layout
from genmod.plugins.networks.autoencoder_2d import Autoencoder2dNetwork
from genmod.plugins.posteriors.normal_map import NormalMapPosterior
from genmod.plugins.posteriors.vq import VQPosterior

__all__ = ["layout_of"]

_SHARED = ("channels", "layers", "attention")


def layout_of(model: LatentVariableModel) -> tuple[Layout, list[str]]:
    """The layout of a model, and what of it differs there.

    Raises:
        UsageError: it has none; the message lists all reasons.
    """
    _check_parts(model)
    encoder, posterior, network = model.encoder, model.posterior, model.network
    assert isinstance(posterior, NormalMapPosterior | VQPosterior)
    assert isinstance(network, Autoencoder2dNetwork)
    options = {kind: model.spec.components[kind].options for kind in ("encoder", "network")}
    wrong = [
        f"{name} {given} of the encoder and {other} of the network"
        for name in _SHARED
        if (given := options["encoder"][name]) != (other := options["network"][name])
    ]
    wrong += ["shortcuts"] * any(each["shortcuts"] for each in options.values())
    groups = {m.num_groups for p in (encoder, network) for m in p.modules() if isinstance(m, nn.GroupNorm)}
    if len(groups) > 1:
        wrong.append(f"layers that are normalised in {' and '.join(map(str, sorted(groups)))} groups")
    head, start = posterior.places.head, network.start
    length = latent = features = posterior.latent_shape[0]
    on_map = network.in_shape == posterior.latent_shape
    if on_map and isinstance(head, nn.Conv2d) and isinstance(start, nn.Conv2d):
        latent, features = start.out_channels, head.in_channels
    else:
        wrong.append("latents that are no map, or that the prior changes")
    is_vq = isinstance(posterior, VQPosterior)
    if latent != length and not (is_vq and features == latent):
        wrong.append(
            f"network that makes {latent} channels of {length}, after {features} features of the encoder"
        )
    if isinstance(posterior, VQPosterior) and (len(posterior.books) > 1 or posterior.cosine):
        wrong.append("codebooks of several heads, or of directions")
    if not _is_mean(model):
        decoder = model.spec.components["decoder"].name
        wrong.append(f"decoder {decoder!r}, whose mean is not the output of the network")
    if wrong:
        raise UsageError(
            f"diffusers has no {'; no '.join(wrong)}",
            hint="genmod show format diffusers says which models it has",
        )
    notes = []
    if isinstance(posterior, NormalMapPosterior) and posterior.scale == "bounded":
        notes.append(
            "standard deviations of q(z|x) are exp(v) there, and exp(v / sqrt(1 + (v/9)²)) here; "
            "they are the same with -s posterior.scale=log-variance"
        )
    return Layout(
        cls="VQModel" if is_vq else "AutoencoderKL",
        inputs=model.data.shape[0],
        channels=tuple(options["encoder"]["channels"]),
        layers=options["encoder"]["layers"],
        groups=groups.pop(),
        attention=options["encoder"]["attention"],
        latent=latent,
        length=length,
        codes=posterior.classes if isinstance(posterior, VQPosterior) else 0,
        quant=is_vq or (features == 2 * latent and not _is_identity(head)),
        post_quant=is_vq or not _is_identity(start),
    ), notes


def _check_parts(model: LatentVariableModel) -> None:
    """Refuse a model of other parts than diffusers has.

    Raises:
        UsageError: it is; the message lists them all.
    """
    parts = model.spec.components
    wrong = [
        f"{kind} {parts[kind].name if kind in parts else 'of that kind'!r}"
        for kind, part, classes in (
            ("encoder", model.encoder, Autoencoder2dEncoder),
            ("posterior", model.posterior, (NormalMapPosterior, VQPosterior)),
            ("network", model.network, Autoencoder2dNetwork),
        )
        if kind not in parts or parts[kind].module or not isinstance(part, classes)
    ]
    if model.conditions is not None:
        wrong.append(f"conditions ({', '.join(model.spec.condition)})")
    if model.data.missing:
        wrong.append("missing values")
    if wrong:
        raise UsageError(
            f"diffusers has no {', no '.join(wrong)}",
            hint="it has autoencoders of pictures: genmod build --encoder autoencoder-2d --posterior normal-map "
            "-s posterior.scale=log-variance --latent 4 --decoder laplace",
        )


def _is_identity(layer: nn.Module) -> bool:
    """Whether a convolution of one pixel changes nothing."""
    assert isinstance(layer, nn.Conv2d)
    n = layer.in_channels
    eye = torch.eye(n, device=layer.weight.device, dtype=layer.weight.dtype)
    same = layer.out_channels == n and torch.equal(layer.weight.detach()[..., 0, 0], eye)
    return same and layer.bias is not None and not bool(layer.bias.detach().any())


@torch.no_grad()
def _is_mean(model: LatentVariableModel) -> bool:
    """Whether the mean of the decoder is the output of the network, or the first part of it."""
    shape, out = model.data.shape, model.decoder.parameter_shape
    if tuple(out[-len(shape) :]) != shape or len(out) > len(shape) + 1:
        return False
    generator = torch.Generator().manual_seed(0)
    parameters = torch.rand((2, *out), generator=generator).to(model.device, model.dtype) * 4 - 2
    try:
        mean = model.decoder(parameters).mean
    except NotImplementedError:
        return False
    return torch.equal(mean, parameters if out == shape else parameters[:, 0])
