"""Pictures in tiles: against whole ones, and against what blending is by hand."""

import pytest
import torch

import genmod
from genmod import UsageError, decode_tiled, encode_tiled, reconstruct_tiled, resized
from genmod.model.tile_grid import Axis, Grid, weights_of
from genmod.model.tile_pool import TilePool
from genmod.nn import GroupNorm

BARE = {"encoder.norm": "none", "encoder.blocks": 0, "encoder.halve": 1}
"""Convolutions that see nine pixels far, and nothing that looks at a picture as a whole."""


def _model(**more):
    options = {
        "encoder": {"name": "conv-map", "width": 8},
        "posterior": "normal-map",
        "latent": 3,
        "decoder": "gaussian",
    }
    return genmod.build(**{**options, "settings": BARE, **more}).double().eval()


@pytest.mark.parametrize(("length", "overlap"), [(4, 1), (4, 3), (7, 2), (7, 6)])
@pytest.mark.parametrize("total", [7, 8, 40])
def test_weights_add_up_to_one(length, overlap, total):
    axis = Axis.of(total, length, length, overlap)
    assert axis.total == total
    for each in (axis.place_weights(cut=False), axis.place_weights(cut=True), axis.pixel_weights()):
        whole = torch.zeros(total, dtype=torch.float64)
        for start, weights in zip(axis.starts, each, strict=True):
            assert len(weights) == length
            whole[start : start + length] += weights
        torch.testing.assert_close(whole, torch.ones_like(whole))
    common = [a + length - b for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
    assert all(overlap <= each < length for each in common)


def test_weights_rise_linearly_in_the_middle_of_what_two_tiles_have_in_common():
    first, second = weights_of([0, 8], 18, 10, cut=False)
    ramp = torch.tensor([0, 0, 0, 0, 0.3, 0.7, 1, 1, 1, 1], dtype=torch.float64)
    torch.testing.assert_close(second, torch.cat([ramp, torch.ones(8, dtype=torch.float64)]))
    torch.testing.assert_close(first, second.flip(0))


@torch.no_grad()
def test_a_picture_within_one_tile_is_the_whole_one():
    model, x = _model(), torch.rand(2, 1, 18, 22, dtype=torch.float64)
    whole = resized(model, (1, 18, 22))
    z = whole.encode(x).mean
    assert torch.equal(encode_tiled(model, x), z)
    assert torch.equal(decode_tiled(model, z, (18, 22)), whole.decode(z).mean)
    assert torch.equal(reconstruct_tiled(model, x), whole.decode(z).mean)


@torch.no_grad()
def test_tiles_blended_by_hand():
    """A picture of two tiles across, which have the last and the first three places in common."""
    model, x = _model(), torch.rand(1, 1, 16, 26, dtype=torch.float64)
    one = resized(model, (1, 16, 16))
    left, right = one.encode(x[..., :16]).mean, one.encode(x[..., 10:]).mean
    up = torch.tensor([0, 1 / 2, 1], dtype=torch.float64)
    blended = (1 - up) * left[..., 5:] + up * right[..., :3]
    z = torch.cat([left[..., :5], blended, right[..., 3:]], 3)
    torch.testing.assert_close(encode_tiled(model, x, tile=16, overlap=6), z, rtol=1e-12, atol=1e-12)
    left, right = one.decode(z[..., :8]).mean, one.decode(z[..., 5:]).mean
    up = torch.tensor([0, 0, 1 / 6, 5 / 6, 1, 1], dtype=torch.float64)
    blended = (1 - up) * left[..., 10:] + up * right[..., :6]
    made = torch.cat([left[..., :10], blended, right[..., 6:]], 3)
    torch.testing.assert_close(
        decode_tiled(model, z, (16, 26), tile=16, overlap=6), made, rtol=1e-12, atol=1e-12
    )


@torch.no_grad()
@pytest.mark.parametrize(("overlap", "seen"), [(24, False), (4, True)])
def test_no_seams_where_convolutions_look_less_far_than_tiles_overlap(overlap, seen):
    model, x = _model(), torch.rand(1, 1, 46, 60, dtype=torch.float64)
    whole, more = resized(model, (1, 46, 60)), {"tile": 40, "overlap": overlap}
    z = whole.encode(x).mean
    codes = (encode_tiled(model, x, **more) - z).abs().max()
    made = (decode_tiled(model, z, (46, 60), **more) - whole.decode(z).mean).abs().max()
    assert all(far > 1e-6 if seen else far < 1e-13 for far in (codes, made)), (codes, made)


@torch.no_grad()
@pytest.mark.parametrize("size", [(33, 50), pytest.param((16, 47), marks=pytest.mark.slow)])
def test_sizes_that_the_stride_does_not_divide(size):
    encoder = {"name": "autoencoder-2d", "channels": [4, 4, 4], "attention": False}
    model = genmod.build(encoder=encoder, posterior="normal-map", latent=2, decoder="gaussian").eval()
    x, steps = torch.rand(1, 1, *size), []
    z = encode_tiled(model, x, tile=16, overlap=4)
    assert z.shape == (1, *resized(model, (1, *size)).latent_shape)
    made = reconstruct_tiled(model, x, tile=16, overlap=4, on_step=lambda done, of: steps.append((done, of)))
    assert made.shape == x.shape
    assert steps == [(i + 1, len(steps)) for i in range(len(steps))]
    # What lies beyond the edge is the last pixel again.
    more = [-side % 4 for side in size]
    wide = torch.nn.functional.pad(x, (0, more[1], 0, more[0]), mode="replicate")
    torch.testing.assert_close(encode_tiled(model, wide, tile=16, overlap=4), z)


@torch.no_grad()
def test_latents_of_a_codebook_are_not_blended():
    """Nor do the weights of a prior matter that has some for each place."""
    model = _model(posterior={"name": "vq", "codes": 8}, prior="autoregressive", latent=4)
    z = encode_tiled(model, torch.rand(1, 1, 24, 40, dtype=torch.float64), tile=16, overlap=8)
    codebook = model.space.codebook
    vectors = codebook.embed(torch.arange(8)[:, None, None].expand(8, *codebook.shape[-2:]))[:, :, 0, 0]
    distance = torch.cdist(z.movedim(1, -1).reshape(-1, 4), vectors.double()).amin(1)
    assert z.shape == (1, 4, 12, 20)
    assert distance.max() < 1e-9


@torch.no_grad()
def test_a_conditional_model_is_given_the_same_in_every_tile():
    model, x = _model(condition="label"), torch.rand(2, 1, 12, 20, dtype=torch.float64)
    context, whole = model.asked("3", 2), resized(model, (1, 12, 20))
    z = whole.encode(x, context).mean
    assert torch.equal(encode_tiled(model, x, context=context), z)
    assert torch.equal(reconstruct_tiled(model, x, context=context), whole.decode(z, context).mean)
    assert not torch.equal(encode_tiled(model, x, context=model.asked("4", 2)), z)
    assert encode_tiled(model, x, tile=8, overlap=2, context=context).shape == z.shape


def test_refused_where_tiles_do_not_fit():
    x = torch.rand(1, 1, 40, 40)
    with pytest.raises(
        UsageError, match="tiles of 16 pixels, 8 places of the latents, cannot overlap by 15 pixels"
    ):
        encode_tiled(_model(), x, tile=16, overlap=15)
    with pytest.raises(UsageError, match="tiles of 17 pixels, 8 places"):
        encode_tiled(_model(), x, tile=17, overlap=4)
    with pytest.raises(UsageError, match="have codes of shape"):
        decode_tiled(_model(), torch.zeros(1, 3, 5, 5), (40, 40))
    with pytest.raises(UsageError, match="depend on the size of the pictures"):
        encode_tiled(genmod.build(encoder="conv"), x)


@pytest.fixture
def grouped():
    """A model whose group norms look at the whole picture, with weights that are not all one."""
    model = _model(settings={**BARE, "encoder.norm": "group"})
    for name, weights in model.named_parameters():
        if weights.dim() == 1 and "layers" in name:
            torch.nn.init.normal_(weights, 1)
    return model


def _picture():
    """Contrast that grows from left to right, so that no tile has the statistics of the whole; and another one."""
    x = torch.rand(2, 1, 48, 64, dtype=torch.float64)
    return torch.cat([x[:1] * torch.linspace(0.1, 1, 64), x[1:]])


@torch.no_grad()
def _differences(model, **more):
    """What differs between tiles and the whole: codes, and what they are decoded to."""
    x, more = _picture(), {"tile": 32, "overlap": 16, "together": 2**20, **more}
    whole = resized(model, tuple(x.shape[1:]))
    z = whole.encode(x).mean
    return encode_tiled(model, x, **more) - z, decode_tiled(model, z, (48, 64), **more) - whole.decode(z).mean


def test_group_norms_of_tiles_side_by_side_are_those_of_the_whole(grouped):
    """Seams included, because convolutions see less far than three eighths of the overlap."""
    assert all(each.abs().max() < 1e-13 for each in _differences(grouped))


@torch.no_grad()
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_group_norms_of_tiles_in_numbers_of_16_bits_are_those_of_torch(precision):
    """More places than 16 bits can count, far from zero, as the maps of a decoder are."""
    norm = GroupNorm(2, 4).to(precision)
    maps = (3 * torch.randn(2, 4, 150, 250) + 20).to(precision)
    whole = norm(torch.cat([*maps], -1)[None])
    TilePool().join(norm, [((0.0, 1.0), (0.0, 1.0))] * 2)
    found = norm(maps)
    assert found.dtype == precision
    torch.testing.assert_close(torch.cat([*found], -1)[None], whole)


def test_small_tiles_are_nearer_to_the_whole_than_tiles_alone(grouped):
    """These are a planted fault for the test above: statistics of each tile's own are seen."""
    alone = [each.abs().mean() for each in _differences(grouped, together=0)]
    small = [each.abs().mean() for each in _differences(grouped, together=1)]
    assert all(one > 0.02 for one in alone), alone
    assert all(0 < near < one / 2 for near, one in zip(small, alone, strict=True)), (small, alone)


def test_steps_are_told_for_each_picture(grouped):
    # By default as many pixels as four tiles have, which are fewer than the six that overlap by half.
    for together, count in ((2**20, 1), (1, 7), (None, 7), (0, 6)):
        seen = []
        told = {"together": together, "on_step": lambda done, of, seen=seen: seen.append((done, of))}
        reconstruct_tiled(grouped, _picture(), tile=32, overlap=16, **told)
        assert seen == [(i + 1, 4 * count) for i in range(4 * count)]


@torch.no_grad()
def test_attention_of_a_tile_looks_at_the_whole_picture():
    encoder = {"name": "autoencoder-2d", "channels": [4, 4], "groups": 2}
    model = _model(encoder=encoder, settings={})
    for part in (model.encoder, model.network):
        # Sharp attention to a few places, which are not in every tile.
        for layer in (part.middle[1].query, part.middle[1].key, part.middle[1].out, part.middle[1].value):
            torch.nn.init.normal_(layer.weight, std=3)
    x = torch.rand(1, 1, 64, 128, dtype=torch.float64)
    z = resized(model, (1, 64, 128)).encode(x).mean
    assert (encode_tiled(model, x, tile=96, overlap=64, together=2**20) - z)[
        ..., :12
    ].abs().max() < 1e-2 * z.abs().max()


@pytest.mark.parametrize("size", [(4096, 4096), (600, 9000), (384, 4096), (700, 520)])
def test_small_tiles_reach_all_over_the_picture(size):
    down, across = (Axis.of(side, min(side, 512), min(side, 512) // 4, 128) for side in size)
    grid = Grid(down, across).probe(2**20)
    assert grid.pixels <= 2**20
    assert len(grid) > 2
    for axis, whole in ((grid.down, down), (grid.across, across)):
        assert axis.starts[0] == 0
        assert axis.total == whole.total
        assert all(0 <= start < end <= 1 for start, end in axis.own())
        assert len(set(b - a for a, b in zip(axis.starts, axis.starts[1:], strict=False))) <= 2
    counted = torch.zeros(across.total)
    for start, (first, last) in zip(grid.across.starts, grid.across.own(), strict=True):
        places = grid.across.places
        counted[start + round(first * places) : start + round(last * places)] += 1
    assert counted.max() == 1
