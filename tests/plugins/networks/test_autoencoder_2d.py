"""Encoder and network of the layout of AutoencoderKL, against what their layers are by hand."""

import math

import pytest
import torch
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

import genmod
from genmod import DataInfo, UsageError, compose
from genmod.model.assembly import assemble
from genmod.plugins.encoders.autoencoder_2d import Autoencoder2dEncoder
from genmod.plugins.networks._autoencoder_2d import Attention, Down, Up
from genmod.plugins.networks.autoencoder_2d import Autoencoder2dNetwork

SMALL = {"channels": [8, 16], "layers": 1}


def silu(maps):
    return maps / (1 + (-maps).exp())


def norm(w, name, maps, groups):
    shape = maps.shape
    each = maps.reshape(shape[0], groups, -1)
    each = each - each.mean(2, keepdim=True)
    each = (each / (each.square().mean(2, keepdim=True) + 1e-6).sqrt()).reshape(shape)
    return each * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def conv(w, name, maps, **more):
    return conv2d(maps, w[f"{name}.weight"], w[f"{name}.bias"], **more)


def residual(w, name, maps, groups):
    before, after = groups
    added = conv(w, f"{name}.conv1", silu(norm(w, f"{name}.norm1", maps, before)), padding=1)
    added = conv(w, f"{name}.conv2", silu(norm(w, f"{name}.norm2", added, after)), padding=1)
    return added + (conv(w, f"{name}.shortcut", maps) if f"{name}.shortcut.weight" in w else maps)


def attention(w, name, maps, groups):
    size = maps.shape[2:]
    rows = norm(w, f"{name}.norm", maps, groups).flatten(2).transpose(1, 2)
    query = rows @ w[f"{name}.query.weight"].T + w[f"{name}.query.bias"]
    key = rows @ w[f"{name}.key.weight"].T + 123.0  # any offset of all keys changes nothing
    value = rows @ w[f"{name}.value.weight"].T + w[f"{name}.value.bias"]
    mixed = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(rows.shape[2]), 2) @ value
    return maps + (mixed @ w[f"{name}.out.weight"].T + w[f"{name}.out.bias"]).transpose(1, 2).unflatten(
        2, size
    )


def spec_of(**options):
    """A model with the encoder and its mirror."""
    encoder = {"name": "autoencoder-2d", **options}
    return compose(
        components={"encoder": encoder, "posterior": "normal-map", "decoder": "gaussian"}, latent=2
    )


def double(part):
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return part.double().eval(), {name: value.double() for name, value in part.state_dict().items()}


@torch.no_grad()
def test_the_encoder_by_hand():
    """Stages of 8 and 16 channels, two blocks each: two groups everywhere, by default."""
    encoder, w = double(Autoencoder2dEncoder((3, 13, 10), channels=[8, 16], layers=2, features=6))
    x = torch.rand(2, 3, 13, 10, dtype=torch.float64)
    maps = torch.cat([x, x[:, :, -1:]], 2)  # 13 rows and a half are 7 of the features; the last pixels go on
    maps = conv(w, "conv_in", 2 * maps - 1, padding=1)
    maps = residual(w, "stages.0.0", maps, (2, 2))
    maps = residual(w, "stages.0.1", maps, (2, 2))
    wide = torch.zeros(2, 8, 15, 11, dtype=torch.float64)
    wide[:, :, :14, :10] = maps
    maps = conv(w, "stages.0.2.conv", wide, stride=2)
    maps = residual(w, "stages.1.0", maps, (2, 2))
    maps = residual(w, "stages.1.1", maps, (2, 2))
    maps = residual(w, "middle.0", maps, (2, 2))
    maps = attention(w, "middle.1", maps, 2)
    maps = residual(w, "middle.2", maps, (2, 2))
    expected = conv(w, "conv_out", silu(norm(w, "norm_out", maps, 2)), padding=1)
    torch.testing.assert_close(encoder(x), expected, rtol=1e-9, atol=1e-9)
    assert encoder.feature_shape == (6, 7, 5)


@torch.no_grad()
def test_the_network_by_hand():
    network, w = double(
        Autoencoder2dNetwork((4, 7, 5), (3, 13, 10), channels=[8, 16], features=6, groups=8, attention=False)
    )
    z = torch.randn(2, 4, 7, 5, dtype=torch.float64)
    maps = conv(w, "conv_in", conv(w, "start", z), padding=1)
    maps = residual(w, "middle.0", maps, (8, 8))
    maps = residual(w, "middle.1", maps, (8, 8))
    maps = residual(w, "stages.0.0", maps, (8, 8))
    maps = residual(w, "stages.0.1", maps, (8, 8))
    twice = maps.new_empty(2, 16, 14, 10)
    for i in (0, 1):
        for j in (0, 1):
            twice[:, :, i::2, j::2] = maps
    maps = conv(w, "stages.0.2.conv", twice, padding=1)
    maps = residual(w, "stages.1.0", maps, (8, 8))
    maps = residual(w, "stages.1.1", maps, (8, 8))
    expected = conv(w, "conv_out", silu(norm(w, "norm_out", maps, 8)), padding=1)[:, :, :13]
    torch.testing.assert_close(network(z), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("stages", "shortcuts"),
    [(2, False), (6, True), *(pytest.param(n, n == 4, marks=pytest.mark.slow) for n in (3, 4, 5))],
)
def test_every_stride_with_its_mirror(stages, shortcuts):
    options = {"channels": [4] * (stages - 1) + [8], "shortcuts": shortcuts}
    model = assemble(spec_of(**options), DataInfo((3, 67, 40))).eval()
    stride = 2 ** (stages - 1)
    assert model.latent_shape == (2, math.ceil(67 / stride), math.ceil(40 / stride))
    assert model.spec.components["network"].options["channels"] == options["channels"]
    x = torch.rand(2, 3, 67, 40)
    assert model.decode(model.encode(x).mean).mean.shape == x.shape


@pytest.mark.parametrize("posterior", ["vq", "normal"])
def test_other_posteriors(posterior):
    model = genmod.build(
        encoder={"name": "autoencoder-2d", **SMALL},
        posterior=posterior,
        latent=4,
        **({} if posterior == "normal" else {"prior": "categorical"}),
    )
    assert model.terms(torch.rand(3, 1, 8, 8).round()).loss.isfinite()
    assert model.sample(2, seed=0).shape == (2, 1, 8, 8)


@torch.no_grad()
def test_without_its_convolutions_a_shortcut_is_the_pixels_of_squares():
    x = torch.randn(2, 6, 8, 4)
    down, up = Down(6, 12, shortcut=True), Up(12, 6, shortcut=True)
    for layer in (down.conv, up.conv):
        layer.weight.zero_()
        layer.bias.zero_()
    coarse = pixel_unshuffle(x, 2)
    assert torch.equal(
        down(x), torch.stack([(coarse[:, i] + coarse[:, i + 1]) / 2 for i in range(0, 24, 2)], 1)
    )
    fine = torch.stack([coarse[:, i // 2] for i in range(48)], 1)[:, :24]
    assert torch.equal(up(coarse[:, :12]), pixel_shuffle(fine, 2))
    # What goes down and up again is a square of pixels, each of the two rows with its mean.
    torch.testing.assert_close(
        up(down(x)), x.unflatten(3, (2, 2)).mean(4, keepdim=True).expand(2, 6, 8, 2, 2).flatten(3)
    )


@torch.no_grad()
def test_without_all_convolutions_shortcuts_lead_through_the_whole_encoder_and_network():
    encoder = Autoencoder2dEncoder(
        (3, 16, 8), channels=[4, 8, 16], features=8, shortcuts=True, attention=False
    )
    network = Autoencoder2dNetwork(
        (8, 4, 2), (3, 16, 8), channels=[4, 8, 16], shortcuts=True, attention=False
    )
    for name, parameter in [*encoder.named_parameters(), *network.named_parameters()]:
        if "conv" in name and "conv_in" not in name:
            parameter.zero_()
    x = torch.rand(2, 3, 16, 8)
    maps = encoder.conv_in(2 * x - 1)
    for channels in (8, 16, 8):
        maps = pixel_unshuffle(maps, 2) if channels != 8 or maps.shape[1] == 4 else maps
        maps = maps.unflatten(1, (channels, -1)).mean(2)
    torch.testing.assert_close(encoder(x), maps)
    seen = []
    network.norm_out.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(maps)
    start = network.start(maps)
    up = network.conv_in(start) + start.repeat_interleave(2, 1)
    for channels in (8, 4):
        up = pixel_shuffle(up.repeat_interleave(4 * channels // up.shape[1], 1), 2)
    torch.testing.assert_close(seen[0], up)


def test_shortcuts_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="4 × 8 channels of 8, which are no multiple of the 24 of the next"):
        Autoencoder2dEncoder((3, 32, 32), channels=[8, 24], shortcuts=True)
    with pytest.raises(UsageError, match="no multiple of the 24"):
        Autoencoder2dNetwork((4, 16, 16), (3, 32, 32), channels=[8, 24], shortcuts=True)


def test_data_of_any_range_are_mapped_to_the_same():
    spec = spec_of(**SMALL)
    unit, wide, free = (
        assemble(spec, DataInfo((1, 8, 8), low=low, high=high)).eval()
        for low, high in ((0.0, 1.0), (-3.0, 5.0), (-math.inf, math.inf))
    )
    wide.load_state_dict(unit.state_dict())
    free.load_state_dict(unit.state_dict())
    x = torch.rand(2, 1, 8, 8)
    expected = unit.encode(x).mean
    torch.testing.assert_close(wide.encode(8 * x - 3).mean, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(free.encode(2 * x - 1).mean, expected, rtol=1e-4, atol=1e-5)


def _trained_on_64(*, attention=True):
    spec = spec_of(channels=[4, 8], attention=attention)
    return spec, assemble(spec, DataInfo((3, 64, 64))).eval()


@torch.no_grad()
def test_other_sizes_are_those_of_a_model_made_for_them():
    spec, model = _trained_on_64()
    made = assemble(spec, DataInfo((3, 96, 160))).eval()
    made.load_state_dict(model.state_dict())
    large, x = genmod.resized(model, (3, 96, 160)), torch.rand(1, 3, 96, 160)
    assert large.latent_shape == (2, 48, 80)
    assert torch.equal(large.encode(x).mean, made.encode(x).mean)
    assert torch.equal(large.decode(large.encode(x).mean).mean, made.decode(made.encode(x).mean).mean)


@torch.no_grad()
@pytest.mark.parametrize("attention", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_lies_in_a_picture_is_encoded_alike_wherever_it_lies(attention):
    """On an even ground the statistics of norms and the places that attention sees are the same wherever a thing is."""
    model = genmod.resized(_trained_on_64(attention=attention)[1], (3, 96, 160)).double()
    x = torch.full((2, 3, 96, 160), 0.3, dtype=torch.float64)
    thing = torch.rand(3, 9, 11, dtype=torch.float64)
    x[0, :, 40:49, 44:55] = thing
    x[1, :, 44:53, 100:111] = thing
    codes = model.encode(x).mean
    here, there = codes[0, :, 12:32, 14:36], codes[1, :, 14:34, 42:64]
    torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-9)
    assert (here - codes[0, :, 12:13, 14:15]).abs().max() > 1e-2
    z = torch.full((2, 2, 48, 80), 0.2, dtype=torch.float64)
    z[0, :, 22:25, 30:32] = z[1, :, 24:27, 50:52] = torch.randn(2, 3, 2, dtype=torch.float64)
    pictures = model.decode(z).mean
    here, there = pictures[0, :, 30:62, 46:78], pictures[1, :, 34:66, 86:118]
    torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-9)
    assert (here - pictures[0, :, 30:31, 46:47]).abs().max() > 1e-2


def _gradients(checkpointed):
    torch.manual_seed(0)
    encoder = Autoencoder2dEncoder((3, 32, 32), **SMALL, checkpointed=checkpointed)
    network = Autoencoder2dNetwork((16, 16, 16), (3, 32, 32), **SMALL, checkpointed=checkpointed)
    kept: dict[int, int] = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(encoder(torch.rand(2, 3, 32, 32))).square().mean()
    loss.backward()
    return [p.grad for part in (encoder, network) for p in part.parameters()], sum(kept.values())


def test_what_is_computed_again_has_the_same_gradients_in_less_memory():
    (once, much), (again, little) = _gradients(checkpointed=False), _gradients(checkpointed=True)
    for a, b in zip(once, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6 * float(a.abs().max()))
    assert little < 0.4 * much


def test_attention_asks_all_places():
    layer = Attention(8, 2)
    x = torch.randn(1, 8, 5, 4, requires_grad=True)
    (reach,) = torch.autograd.grad((layer(x) - x)[0, :, 0, 0].sum(), x)
    assert (reach.abs().sum(1) > 0).all()


@torch.no_grad()
def test_half_precision_makes_nearly_the_same_pictures():
    """Numbers of 8 bits: each layer rounds by at most one part in 256, in both directions."""
    _, model = _trained_on_64()
    x = torch.rand(2, 3, 64, 64)
    full = model.decode(model.encode(x).mean).mean
    model.autocast_dtype = torch.bfloat16
    half = model.decode(model.encode(x).mean).mean
    assert half.dtype == torch.float32
    error = (half - full).square().mean().sqrt() / full.std()
    assert 1e-5 < error < 8 / 256
