"""Encoders and networks of residual blocks, attention and gates: what their papers say of them."""

import pytest
import torch
from torch import nn

from genmod import DataInfo, UsageError, build, compose
from genmod.model.assembly import assemble
from genmod.plugins.encoders.gated_mlp import GatedMlpEncoder
from genmod.plugins.encoders.identity import IdentityEncoder
from genmod.plugins.encoders.resnet import ResnetEncoder
from genmod.plugins.encoders.transformer import TransformerEncoder
from genmod.plugins.networks._patches import Block, grid_of
from genmod.plugins.networks._residual import ResidualBlock, SqueezeExcite
from genmod.plugins.networks.linear import LinearNetwork
from genmod.plugins.networks.transformer import TransformerNetwork

SIZES = [(1, 8, 8), (3, 33, 20), (2, 9, 41)]


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("name", ["resnet", "transformer", "gated-mlp", "identity"])
def test_an_encoder_with_its_mirror_is_a_model_for_every_size(name, shape):
    model = assemble(
        compose(components={"encoder": name, "decoder": "gaussian"}, latent=3), DataInfo(shape)
    ).eval()
    x = torch.rand(2, *shape)
    assert model.decode(model.encode(x).mean).mean.shape == x.shape


@torch.no_grad()
def test_a_residual_block_whose_branch_is_zero_changes_nothing():
    block = ResidualBlock(8, 8, "group", "silu", squeeze_excite=True)
    x = torch.randn(2, 8, 5, 6)
    assert not torch.equal(block(x), x)
    nn.init.zeros_(block.branch[5].weight)
    nn.init.zeros_(block.branch[5].bias)
    assert torch.equal(block(x), x)


def test_squeeze_and_excitation_scales_whole_channels_between_0_and_1():
    x = torch.rand(3, 8, 4, 5) + 1
    scale = SqueezeExcite(8, "relu")(x) / x
    torch.testing.assert_close(scale, scale[:, :, :1, :1].expand_as(scale))
    assert ((scale > 0) & (scale < 1)).all()


def test_squeeze_excite_is_more_than_none():
    sizes = [
        sum(p.numel() for p in ResnetEncoder((1, 8, 8), squeeze_excite=on).parameters())
        for on in (False, True)
    ]
    assert sizes[0] < sizes[1]


def test_blocks_are_in_every_stage():
    count = [
        sum(isinstance(m, ResidualBlock) for m in ResnetEncoder((1, 32, 32), blocks=n).modules())
        for n in (1, 3)
    ]
    assert count == [3, 9]


@torch.no_grad()
def test_gated_layers_by_hand():
    encoder = GatedMlpEncoder((4,), hidden=[3])
    x, layer = torch.randn(5, 4), encoder.layers[0]
    expected = (x @ layer.value.weight.T + layer.value.bias) / (
        1 + (-(x @ layer.gate.weight.T) - layer.gate.bias).exp()
    )
    torch.testing.assert_close(encoder(x), expected)


def test_identity_is_the_data():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(IdentityEncoder((3, 4, 5))(x), x.reshape(2, 60))


def test_the_linear_network_is_linear_but_for_its_offset():
    network = LinearNetwork((4,), (2, 3, 3)).double()
    a, b = torch.randn(2, 1, 4, dtype=torch.float64)
    offset = network(torch.zeros_like(a))
    torch.testing.assert_close(
        network(2 * a - 3 * b) - offset, 2 * (network(a) - offset) - 3 * (network(b) - offset)
    )


def test_a_linear_model_of_two_names():
    model = build(encoder="linear", network="linear", decoder="gaussian", latent=2)
    assert [model.spec.components[kind].name for kind in ("encoder", "network")] == ["identity", "linear"]


@torch.no_grad()
def test_attention_against_torch():
    block, x = Block(12, 3, "gelu").double(), torch.randn(2, 5, 12, dtype=torch.float64)
    other = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    other.in_proj_weight.copy_(block.attend.weight)
    other.in_proj_bias.zero_()
    other.out_proj.weight.copy_(block.attended.weight)
    other.out_proj.bias.copy_(block.attended.bias)
    inner = block.before_attention(x)
    attended = x + other(inner, inner, inner, need_weights=False)[0]
    torch.testing.assert_close(block(x), attended + block.layer(attended))


@torch.no_grad()
def test_positions_tell_patches_apart():
    encoder = TransformerEncoder((1, 8, 8)).eval()
    x = torch.rand(1, 1, 8, 8)
    moved = x.roll(2, 3)
    assert not torch.allclose(encoder(x), encoder(moved), atol=1e-6)
    encoder.positions.zero_()
    torch.testing.assert_close(encoder(x), encoder(moved))


@torch.no_grad()
def test_what_is_beyond_the_edge_is_zero():
    narrow, wide = TransformerEncoder((1, 9, 10), patch=4), TransformerEncoder((1, 12, 12), patch=4)
    wide.load_state_dict(narrow.state_dict())
    x = torch.zeros(2, 1, 12, 12)
    x[:, :, :9, :10] = torch.randn(2, 1, 9, 10)
    torch.testing.assert_close(narrow(x[:, :, :9, :10]), wide(x))


@torch.no_grad()
def test_every_place_of_the_transformer_network_makes_its_own_patch():
    network = TransformerNetwork((3,), (1, 8, 8), patch=4)
    network.blocks = nn.Identity()
    z = torch.randn(2, 3)
    before = network(z)
    network.positions[1] += 1
    changed = (network(z) != before)[0, 0]
    assert changed[:4, 4:].all()
    assert changed.sum() == 16


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [((8, 8), None, (2, 4, 4)), ((64, 32), None, (4, 16, 8)), ((33, 20), 7, (7, 5, 3))],
)
def test_patches_cover_the_image(size, patch, expected):
    assert grid_of(*size, patch, "it") == expected


@pytest.mark.parametrize(("options", "message"), [({"patch": 99}, "99×99"), ({"width": 10}, "4 heads")])
def test_refusals(options, message):
    for make in (
        lambda: TransformerEncoder((1, 8, 8), **options),
        lambda: TransformerNetwork((2,), (1, 8, 8), **options),
    ):
        with pytest.raises(UsageError, match=message):
            make()
