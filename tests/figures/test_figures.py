"""Pictures: every pixel where it belongs, every walk through the points it should go through."""

import dataclasses
import hashlib
import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.distributions import TransformedDistribution

import genmod
from genmod import Batch, DataInfo, Factor, FileError, TensorSplit, UndefinedError, UsageError, compose
from genmod.figures import (
    Picture,
    activity,
    choose_examples,
    codes,
    grid,
    interpolation,
    latent_scale,
    observed,
    prior_draws,
    random_decodings,
    reconstruction_grid,
    sample_grid,
    slerp,
    traversal,
)
from genmod.figures.following import followed
from genmod.figures.grids import GAP, MARGIN, PAPER, STRIP_GAP, default_font
from genmod.figures.tiles import enlargement
from genmod.model.assembly import assemble

UNBOUNDED = {"low": -math.inf, "high": math.inf}


def pixels(image):
    """``(height, width, 3)`` of a PIL image."""
    assert image.mode == "RGB"
    return torch.from_numpy(np.asarray(image).copy())


def cell(image, row, column, height, width, gap=GAP):
    """The pixels where the example of that row and column must be, in a picture without labels."""
    top, left = MARGIN + row * (height + GAP), MARGIN + column * (width + gap)
    return pixels(image)[top : top + height, left : left + width]


@pytest.fixture
def model():
    return genmod.build(encoder="mlp", latent=3)


@pytest.fixture
def identity():
    """A model with ``q(z|x) = N(x, 1)`` and ``E[x|z] = z``, of tables with two columns."""
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": 1.0},
    }
    model = assemble(compose(components=components, latent=2), DataInfo((2,), **UNBOUNDED))
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
        model.posterior.head.weight[:2] = torch.eye(2)
        next(p for p in model.network.parameters() if p.dim() == 2).copy_(torch.eye(2))
    return model


# The grid


def test_grey_pixels_are_where_they_belong():
    images = torch.rand(2, 3, 1, 8, 9)
    image = grid(images, data=DataInfo((1, 8, 9)), scale=4)
    assert image.size == (2 * MARGIN + 3 * 36 + 2 * GAP, 2 * MARGIN + 2 * 32 + GAP)
    seen = torch.zeros(image.size[::-1], dtype=torch.bool)
    for row in range(2):
        for column in range(3):
            wanted = (images[row, column, 0] * 255).round().to(torch.uint8)
            wanted = wanted.repeat_interleave(4, 0).repeat_interleave(4, 1)[..., None].expand(-1, -1, 3)
            assert torch.equal(cell(image, row, column, 32, 36), wanted)
            top, left = MARGIN + row * (32 + GAP), MARGIN + column * (36 + GAP)
            seen[top : top + 32, left : left + 36] = True
    assert set(map(tuple, pixels(image)[~seen].tolist())) == {PAPER}


def test_three_channels_are_colours():
    images = torch.rand(4, 3, 5, 5)
    image = grid(images, data=DataInfo((3, 5, 5)), scale=1, columns=2)
    for number, example in enumerate(images):
        wanted = (example * 255).round().to(torch.uint8).permute(1, 2, 0)
        assert torch.equal(cell(image, *divmod(number, 2), 5, 5), wanted)


@pytest.mark.parametrize(("channels", "rows", "columns"), [(2, 1, 2), (4, 2, 2), (5, 2, 3)])
def test_other_channels_lie_side_by_side(channels, rows, columns):
    example = torch.rand(channels, 3, 4)
    image = grid(example[None], data=DataInfo((channels, 3, 4)), scale=2)
    # Six by eight pixels each, one pixel apart.
    whole = cell(image, 0, 0, rows * 7 - 1, columns * 9 - 1)
    assert image.size == (2 * MARGIN + columns * 9 - 1, 2 * MARGIN + rows * 7 - 1)
    for channel in range(channels):
        row, column = divmod(channel, columns)
        wanted = (example[channel] * 255).round().repeat_interleave(2, 0).repeat_interleave(2, 1)
        part = whole[row * 7 : row * 7 + 6, column * 9 : column * 9 + 8]
        assert torch.equal(part, wanted.to(torch.uint8)[..., None].expand(-1, -1, 3))


@pytest.mark.parametrize("shape", [(8, 8), (1, 1, 8, 8), (3, 1, 8, 8)])
def test_other_ranks_are_images_too(shape):
    flat = torch.rand(2, *shape)
    channels = math.prod(shape[:-2])
    same = grid(flat.reshape(2, channels, 8, 8), data=DataInfo((channels, 8, 8)))
    assert torch.equal(pixels(grid(flat, data=DataInfo(shape))), pixels(same))


def test_stored_integers_and_values_give_the_same_picture():
    info = DataInfo((1, 8, 8), levels=17)
    stored = torch.randint(17, (3, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(pixels(grid(stored, data=info)), pixels(grid(stored / 16, data=info)))


def test_range():
    """Values beyond the bounds are clipped; where there is no bound, what is shown sets it."""
    values = torch.tensor([-1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 2, 2)
    bounded = cell(grid(values, data=DataInfo((1, 2, 2), low=0, high=2), scale=1), 0, 0, 2, 2)
    assert bounded[..., 0].flatten().tolist() == [0, 0, 128, 255]
    free = cell(grid(values, data=DataInfo((1, 2, 2), **UNBOUNDED), scale=1), 0, 0, 2, 2)
    assert free[..., 0].flatten().tolist() == [0, 64, 128, 255]
    together = torch.cat([values, values / 2])
    second = cell(grid(together, data=DataInfo((1, 2, 2), **UNBOUNDED), scale=1), 0, 1, 2, 2)
    assert second[..., 0].flatten().tolist() == [32, 64, 96, 159]
    half = cell(grid(values, data=DataInfo((1, 2, 2), low=0, high=math.inf), scale=1), 0, 0, 2, 2)
    assert half[..., 0].flatten().tolist() == [0, 0, 85, 255]


def test_values_that_are_none_are_marked():
    values = torch.tensor([math.nan, math.inf, -math.inf, 1.0, 0.0, 0.5]).reshape(1, 1, 2, 3)
    shown = cell(grid(values, data=DataInfo((1, 2, 3), **UNBOUNDED), scale=1), 0, 0, 2, 3)
    assert shown.reshape(6, 3).tolist() == [[255, 0, 200], *([v] * 3 for v in (255, 0, 255, 0, 128))]
    coloured = torch.rand(1, 3, 2, 2)
    coloured[0, 1, 0, 0] = math.nan
    assert cell(grid(coloured, data=DataInfo((3, 2, 2)), scale=1), 0, 0, 2, 2)[0, 0].tolist() == [255, 0, 200]


def test_table_is_a_heat_map():
    """A strip for each example, first column on top; each column from its own lowest to its own highest value."""
    table = torch.tensor([[0.0, 100.0, 5.0], [1.0, 300.0, 5.0], [2.0, 200.0, 5.0]])
    image = grid(table, data=DataInfo((3,), **UNBOUNDED), scale=4)
    low, middle, high = [33, 102, 172], [238, 238, 238], [178, 24, 43]
    for column, wanted in enumerate([(low, low, middle), (middle, high, middle), (high, middle, middle)]):
        strip = cell(image, 0, column, 12, 24, gap=STRIP_GAP)
        for row, colour in enumerate(wanted):
            assert set(map(tuple, strip[row * 4 : row * 4 + 4].reshape(-1, 3).tolist())) == {tuple(colour)}
    bounded = grid(table[:1] / 200, data=DataInfo((3,), low=-1, high=1), scale=4)
    assert cell(bounded, 0, 0, 12, 24)[0, 0].tolist() == middle


def test_rounding_noise_of_a_constant_is_not_blown_up():
    table = torch.full((2, 1), 3.0)
    table[1] += 1e-6
    image = grid(table, data=DataInfo((1,), **UNBOUNDED))
    assert torch.equal(cell(image, 0, 0, 16, 24), cell(image, 0, 1, 16, 24, gap=STRIP_GAP))


@pytest.mark.parametrize(
    ("shape", "tile"), [((1, 17, 17), 68), ((1, 28, 28), 56), ((3, 32, 32), 64), ((3, 200, 300), 200)]
)
def test_small_images_are_enlarged_to_be_seen(shape, tile):
    assert grid(torch.zeros(1, *shape), data=DataInfo(shape)).size[1] == tile + 2 * MARGIN


def test_images_of_few_pixels_are_interpolated_and_the_picture_says_so():
    # Interpolation follows a straight line, away from the edges, where steps would be off by 14.
    ramp = (torch.arange(8.0) / 8).expand(1, 1, 8, 8)
    crisp = grid(ramp, data=DataInfo((1, 8, 8)), scale=8)
    smooth = grid(ramp, data=DataInfo((1, 8, 8)))
    row = cell(smooth, 0, 0, 64, 64)[30, 16:48, 0].double()
    wanted = ((torch.arange(16, 48) + 0.5) / 8 - 0.5) / 8 * 255
    assert (row - wanted).abs().max() <= 3
    assert cell(crisp, 0, 0, 64, 64)[30, :, 0].unique().numel() == 8
    below = pixels(smooth)[crisp.size[1] - MARGIN :]
    assert (below < 128).any()
    assert smooth.size[1] > crisp.size[1]
    assert enlargement(DataInfo((1, 8, 8))) == "8x8 pixels, enlarged by interpolation"
    assert enlargement(DataInfo((16,))) == ""


def test_layout_without_columns():
    def lines(n, shape=(1, 8, 8), **arguments):
        height = grid(torch.zeros(n, *shape), data=DataInfo(shape), scale=8, **arguments).size[1]
        return (height - 2 * MARGIN + GAP) / (64 + GAP)

    assert [lines(n) for n in (1, 2, 9, 10, 64)] == [1, 1, 3, 3, 8]
    assert lines(10, columns=5) == 2
    assert lines(3, columns=100) == 1
    # A table's strips fill the line, evenly.
    assert grid(torch.rand(100, 12), data=DataInfo((12,))).size[0] == 2 * MARGIN + 50 * 26 - STRIP_GAP


def test_long_rows_go_on_below():
    images = torch.rand(2, 30, 1, 8, 8)
    image = grid(images, data=DataInfo((1, 8, 8)), columns=20, scale=8)
    flat = pixels(image)
    tile = (images[1, 25, 0] * 255).round().to(torch.uint8).repeat_interleave(8, 0).repeat_interleave(8, 1)
    top = MARGIN + 2 * (64 + GAP) - GAP + 20 + (64 + GAP)
    left = MARGIN + 5 * (64 + GAP)
    assert torch.equal(flat[top : top + 64, left : left + 64, 0], tile)
    # Nothing follows the last one.
    assert set(map(tuple, flat[top : top + 64, MARGIN + 10 * (64 + GAP) :].reshape(-1, 3).tolist())) == {
        PAPER
    }
    assert grid(images, data=DataInfo((1, 8, 8))).size[0] < 1400


def test_labels_and_title_stay_off_the_examples():
    images = torch.ones(2, 3, 1, 8, 8)
    data = DataInfo((1, 8, 8))
    bare = grid(images, data=data)
    full = grid(
        images,
        data=data,
        row_labels=["data", "reconstruction"],
        column_labels=["a", "b", "c"],
        title="A title that is much wider than all of the examples are together",
    )
    assert full.size[0] > bare.size[0]
    white = (pixels(full) == 255).all(-1)
    assert white.sum() == 6 * 64 * 64
    assert len({tuple(colour) for colour in pixels(full).reshape(-1, 3).tolist()}) > 10
    # Ink in the band of the title, in that of the column labels, and to the left; none at the outer margin.
    top, left = (int(index) for index in white.nonzero()[0])
    ink = (pixels(full).float().mean(-1) < 150) & ~white
    assert ink[: top - 30].any()
    assert ink[top - 20 : top, left:].any()
    assert ink[top:, :left].any()
    assert not ink[top:, left:].any()
    edge = torch.cat([ink[:4].flatten(), ink[-4:].flatten(), ink[:, :4].flatten(), ink[:, -4:].flatten()])
    assert not edge.any()


def test_labels_that_would_overlap_are_left_out():
    """Strips are 26 pixels apart, too few for 0.0000 and enough for 0."""
    strips = torch.rand(1, 10, 12)

    def picture(labels):
        return pixels(grid(strips, data=DataInfo((12,)), column_labels=labels))

    def every_other(labels):
        return ["" if index % 2 else text for index, text in enumerate(labels)]

    wide, narrow = [f"{i:.4f}" for i in range(10)], [f"{i}" for i in range(10)]
    assert torch.equal(picture(wide), picture(every_other(wide)))
    assert not torch.equal(picture(narrow), picture(every_other(narrow)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (0, 1, 8, 8), (2, 8, 8), (2, 1, 8, 9), (1, 1, 1, 1, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UsageError, match=r"examples of shape \(1, 8, 8\)"):
        grid(torch.zeros(shape), data=DataInfo((1, 8, 8)))


# Files


def test_arrays_come_back(tmp_path):
    picture = Picture(
        torch.rand(3, 1, 8, 8),
        DataInfo((1, 8, 8)),
        latents=torch.randn(3, 2),
        extra={"labels": torch.arange(3)},
    )
    for name in ("a.npz", "a.safetensors", "a.png"):
        picture.save(tmp_path / name)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file}
    tensors = load_file(tmp_path / "a.safetensors")
    assert set(arrays) == set(tensors) == {"images", "latents", "labels"}
    for key, wanted in picture.arrays().items():
        assert torch.equal(arrays[key], wanted)
        assert torch.equal(tensors[key], wanted)
    with Image.open(tmp_path / "a.png") as image:
        assert torch.equal(pixels(image), pixels(picture.image()))


@pytest.mark.parametrize("suffix", [".png", ".npz", ".safetensors"])
def test_same_picture_same_bytes(tmp_path, suffix, model):
    digests = set()
    for name in ("one", "two"):
        path = tmp_path / f"{name}{suffix}"
        sample_grid(model, 4, seed=3).save(path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    sample_grid(model, 4, seed=4).save(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in digests


def test_npz_holds_no_pickle(tmp_path, model):
    sample_grid(model, 2).save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.namelist()
        for name in archive.namelist():
            array = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert array.dtype.kind in "fiu", name


def test_unknown_format_and_missing_folder(tmp_path, model):
    picture = sample_grid(model, 1)
    with pytest.raises(UsageError, match=r"a\.jpg says no known format"):
        picture.save(tmp_path / "a.jpg")
    with pytest.raises(FileError, match="cannot be written"):
        picture.save(tmp_path / "missing" / "a.png")
    assert list(tmp_path.iterdir()) == []


# Samples, reconstructions, random decodings


@pytest.mark.parametrize("noise", [False, True])
def test_samples_are_those_of_the_model(model, noise):
    picture = sample_grid(model, 20, seed=5, noise=noise)
    assert torch.equal(picture.images, model.sample(20, seed=5, noise=noise))
    assert torch.equal(picture.latents, prior_draws(model, 20, seed=5))
    assert set(picture.images.unique().tolist()) <= {0.0, 1.0} or not noise
    assert "seed 5" in picture.title


def test_many_samples(model):
    picture = sample_grid(model, 1203)
    assert picture.images.shape == (1203, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(model.decode(picture.latents).mean, picture.images)


def test_without_a_prior_there_are_no_samples():
    with pytest.raises(UndefinedError, match="no prior") as error:
        sample_grid(genmod.build("autoencoder", encoder="mlp"), 4)
    assert "genmod" in error.value.hint


def test_reconstructions(model):
    x = torch.randint(17, (6, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(6)
    picture = reconstruction_grid(model, x, labels=labels, seed=2)
    assert picture.row_labels == ("data", "observed", "reconstruction")
    data, seen, reconstruction = picture.images
    assert torch.equal(data, x / 16)
    assert torch.equal(seen, observed(model, x, seed=2))
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    model.eval()
    with torch.no_grad():
        q = model.encode(seen)
        assert torch.equal(picture.latents, q.mean)
        assert torch.equal(reconstruction, model.decode(q.mean).mean)
    assert torch.equal(picture.arrays()["labels"], labels)
    assert not torch.equal(seen, reconstruction_grid(model, x, seed=3).images[1])


def test_reconstructions_of_data_that_stay_as_they_are(identity):
    x = torch.randn(5, 2)
    picture = reconstruction_grid(identity, x)
    assert picture.row_labels == ("data", "reconstruction")
    torch.testing.assert_close(picture.images, torch.stack([x, x]))


def test_random_decodings_are_spread_like_the_codes(identity):
    latents = torch.randn(500, 2) * torch.tensor([3.0, 0.1]) + torch.tensor([10.0, -4.0])
    picture = random_decodings(identity, latents, 4000, seed=1)
    torch.testing.assert_close(picture.images, picture.latents)
    for statistic in (torch.mean, torch.std):
        torch.testing.assert_close(statistic(picture.latents, 0), statistic(latents, 0), atol=0.15, rtol=0.05)
    assert torch.equal(picture.latents, random_decodings(identity, latents, 4000, seed=1).latents)
    assert not torch.equal(picture.latents, random_decodings(identity, latents, 4000, seed=2).latents)
    inside = random_decodings(identity, latents, 4000, box=True).latents
    low, high = latents.amin(0), latents.amax(0)
    assert ((inside >= low) & (inside <= high)).all()
    # A quarter of the way along a uniform distribution lies a quarter of it.
    quarters = inside.quantile(torch.tensor([0.25, 0.75]), dim=0)
    wanted = torch.stack([torch.lerp(low, high, 0.25), torch.lerp(low, high, 0.75)])
    assert ((quarters - wanted).abs() < 0.05 * (high - low)).all()


def test_codes_where_the_posterior_has_no_known_mean(identity):
    class NoMean(TransformedDistribution):
        def __init__(self, base):
            super().__init__(base, [])

    plain = identity.posterior.forward
    identity.posterior.forward = lambda features: NoMean(plain(features))
    x = torch.zeros(2000, 2)
    draws = codes(identity, x, seed=4)
    assert torch.equal(draws, codes(identity, x, seed=4))
    torch.testing.assert_close(draws.std(0), torch.ones(2), atol=0.1, rtol=0)


def test_the_model_and_the_random_state_stay_as_they_were():
    model = genmod.build(
        encoder="conv", latent=2, settings={"encoder.norm": "batch", "encoder.channels": (4,)}
    )
    x = torch.rand(8, 1, 8, 8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    for mode in (True, False):
        model.train(mode)
        sample_grid(model, 4)
        reconstruction_grid(model, x)
        activity(model, x)
        walk = interpolation(model, torch.zeros(1, 2), torch.ones(1, 2))
        assert model.training is mode
        assert not walk.images.requires_grad
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_chosen_examples_are_different_and_drawn_by_the_seed():
    split = TensorSplit(Batch(torch.arange(50)[:, None].float(), labels=torch.arange(50)))
    chosen = choose_examples(split, 20, seed=1)
    assert len(set(chosen.labels.tolist())) == 20
    assert chosen.labels.tolist() != sorted(chosen.labels.tolist())
    assert torch.equal(chosen.labels, choose_examples(split, 20, seed=1).labels)
    assert not torch.equal(chosen.labels, choose_examples(split, 20, seed=2).labels)
    # More examples are the same ones and others.
    assert torch.equal(chosen.labels[:5], choose_examples(split, 5, seed=1).labels)
    assert len(choose_examples(split, 99)) == 50


@pytest.mark.parametrize("n", [0, -1])
def test_none_at_all_is_refused(model, identity, n):
    split = TensorSplit(Batch(torch.zeros(3, 1)))
    for ask in (
        lambda: sample_grid(model, n),
        lambda: random_decodings(identity, torch.randn(5, 2), n),
        lambda: choose_examples(split, n),
    ):
        with pytest.raises(UsageError, match=f"{n} .* asked for"):
            ask()


# Walks


def angle(a, b):
    return torch.atan2(
        (a / a.norm() - b / b.norm()).norm() * (a / a.norm() + b / b.norm()).norm() / 2,
        (a @ b) / a.norm() / b.norm(),
    )


@pytest.mark.parametrize("dims", [2, 3, 64])
def test_slerp_turns_evenly_and_changes_length_evenly(dims):
    a, b = torch.randn(2, dims, dtype=torch.float64)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    z = slerp(a, b, t)
    assert z.shape == (11, dims)
    assert z.dtype == a.dtype
    assert torch.equal(z[0], a)
    assert torch.equal(z[-1], b)
    torch.testing.assert_close(z.norm(dim=-1), (1 - t) * a.norm() + t * b.norm())
    whole = angle(a, b)
    for point, position in zip(z, t, strict=True):
        torch.testing.assert_close(angle(a, point), position * whole, atol=1e-7, rtol=0)
    # All in the plane of both.
    assert torch.linalg.matrix_rank(torch.cat([z, a[None], b[None]]), rtol=1e-9) == 2


def test_slerp_of_one_length_is_the_classical_formula():
    a, b = torch.nn.functional.normalize(torch.randn(2, 16, dtype=torch.float64), dim=-1) * 3
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    omega = angle(a, b)
    classical = (((1 - t) * omega).sin()[:, None] * a + (t * omega).sin()[:, None] * b) / omega.sin()
    torch.testing.assert_close(slerp(a, b, t), classical)


@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-7, 1e-4])
def test_slerp_of_opposite_vectors(noise):
    """The classical formula divides by zero; here the way is half a turn through points of the right length."""
    a = torch.randn(8, dtype=torch.float64)
    b = -2 * a + noise * torch.randn(8, dtype=torch.float64)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    z = slerp(a, b, t)
    assert z.isfinite().all()
    torch.testing.assert_close(z.norm(dim=-1), (1 - t) * a.norm() + t * b.norm())
    for point, position in zip(z, t, strict=True):
        torch.testing.assert_close(angle(a, point), position * math.pi, atol=1e-3, rtol=0, check_dtype=False)


@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-7, 1e-4])
def test_slerp_of_parallel_vectors_is_a_line(noise):
    a = torch.randn(8, dtype=torch.float64)
    b = 2 * a + noise * torch.randn(8, dtype=torch.float64)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    torch.testing.assert_close(slerp(a, b, t), torch.lerp(a, b, t[:, None]), atol=noise + 1e-12, rtol=0)


@pytest.mark.parametrize(
    ("a", "b"),
    [([0.0, 0.0], [3.0, 4.0]), ([3.0, 4.0], [0.0, 0.0]), ([0.0, 0.0], [0.0, 0.0]), ([1.0], [-2.0])],
)
def test_slerp_goes_straight_where_there_is_no_direction(a, b):
    a, b, t = torch.tensor(a), torch.tensor(b), torch.tensor([0.0, 0.25, 1.0])
    torch.testing.assert_close(slerp(a, b, t), torch.lerp(a, b, t[:, None]))


def test_slerp_of_many_pairs_is_that_of_each():
    a, b, t = torch.randn(4, 3, 5), torch.randn(4, 3, 5), torch.rand(6)
    many = slerp(a, b, t)
    assert many.shape == (4, 3, 6, 5)
    torch.testing.assert_close(many[2, 1], slerp(a[2, 1], b[2, 1], t))


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolation_goes_from_one_reconstruction_to_the_other(model, spherical):
    x = torch.randint(17, (6, 1, 8, 8), dtype=torch.uint8)
    reconstructions = reconstruction_grid(model, x, seed=1)
    z = codes(model, x, seed=1)
    assert torch.equal(z, reconstructions.latents)
    walk = interpolation(model, z[:3], z[3:], steps=5, spherical=spherical)
    assert walk.images.shape == (3, 5, 1, 8, 8)
    assert torch.equal(walk.latents[:, 0], z[:3])
    assert torch.equal(walk.latents[:, -1], z[3:])
    torch.testing.assert_close(walk.images[:, 0], reconstructions.images[2, :3])
    torch.testing.assert_close(walk.images[:, -1], reconstructions.images[2, 3:])
    middle = (z[:3] + z[3:]) / 2
    assert torch.allclose(walk.latents[:, 2], middle, atol=1e-6) is not spherical
    assert walk.column_labels == ("0", "0.25", "0.5", "0.75", "1")


def test_interpolation_at_latents_of_any_shape(identity):
    """A sphere is that of the flattened latent."""
    a, b = torch.randn(2, 1, 2)
    z = interpolation(identity, a, b, steps=3, spherical=True).latents
    torch.testing.assert_close(z[0], slerp(a[0], b[0], torch.tensor([0.0, 0.5, 1.0])))


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [((1, 3), (1, 3), 1), ((1, 3), (2, 3), 5), ((1, 4), (1, 4), 5), ((3,), (3,), 5)],
)
def test_interpolation_that_cannot_be(model, start, end, steps):
    with pytest.raises(UsageError):
        interpolation(model, torch.zeros(start), torch.zeros(end), steps=steps)


def test_traversal_changes_only_the_named_dimension(model):
    z = torch.randn(3)
    values = torch.tensor([-2.0, 0.0, 1.5])
    picture = traversal(model, z, [2, 0], values)
    assert picture.latents.shape == (2, 3, 3)
    for row, dimension in enumerate([2, 0]):
        changed = picture.latents[row]
        assert torch.equal(changed[:, dimension], values)
        others = [d for d in range(3) if d != dimension]
        assert torch.equal(changed[:, others], z[others].expand(3, -1))
    with torch.no_grad():
        torch.testing.assert_close(picture.images, model.decode(picture.latents).mean)
    assert picture.row_labels == ("z2", "z0")
    assert picture.column_labels == ("-2", "0", "+1.5")
    arrays = picture.arrays()
    assert arrays["dimensions"].tolist() == [2, 0]
    assert torch.equal(arrays["values"], values.expand(2, -1))


def test_traversal_in_standard_deviations_of_the_codes(identity):
    latents = torch.randn(400, 2) * torch.tensor([2.0, 0.5]) + torch.tensor([7.0, -1.0])
    identity.prior = genmod.build("autoencoder", encoder="mlp").prior
    centre, width = latent_scale(identity, latents)
    torch.testing.assert_close(centre, latents.mean(0))
    torch.testing.assert_close(width, latents.std(0, correction=0))
    picture = traversal(identity, torch.zeros(2), [1], torch.tensor([-1.0, 2.0]), scale=(centre, width))
    torch.testing.assert_close(picture.latents[0, :, 1], centre[1] + width[1] * torch.tensor([-1.0, 2.0]))
    with pytest.raises(UndefinedError, match="the width of the latent space"):
        traversal(identity, torch.zeros(2), [1], torch.tensor([0.0]))


@pytest.mark.parametrize("dimensions", [[3], [-1], [0, 5], []])
def test_traversal_of_dimensions_that_are_not_there(model, dimensions):
    with pytest.raises(UsageError, match=r"no dimension"):
        traversal(model, torch.zeros(3), dimensions, torch.zeros(2))
    with pytest.raises(UsageError, match=r"shape \(3,\)"):
        traversal(model, torch.zeros(1, 3), [0], torch.zeros(2))


def test_activity_is_the_mean_rate_of_each_dimension(identity):
    x = torch.randn(1500, 2) * torch.tensor([2.0, 0.5])
    amounts, measure = activity(identity, x)
    assert measure == "mean KL in nats"
    # KL(N(x, 1) ‖ N(0, 1)) = x²/2
    torch.testing.assert_close(amounts, (x.square() / 2).mean(0))


def test_activity_without_a_prior_is_the_variance_of_the_codes():
    model = genmod.build("autoencoder", encoder="mlp", latent=3)
    x = torch.rand(40, 1, 8, 8)
    amounts, measure = activity(model, x, seed=6)
    assert measure == "variance of the codes"
    torch.testing.assert_close(amounts, codes(model, x, seed=6).var(0, correction=0))


# Ends of walks, and rows of classes


def test_a_walk_stands_between_its_real_ends(identity, tmp_path):
    start, end = torch.zeros(2, 2), torch.ones(2, 2)
    walk = dataclasses.replace(
        interpolation(identity, start, end, steps=3), ends=(start - 5, end + 5), title="", column_labels=()
    )
    drawn, alone = walk.image(scale=4), dataclasses.replace(walk, ends=None).image(scale=4)
    assert drawn.width == alone.width + 2 * (24 + STRIP_GAP)
    walk.save(tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        assert np.array_equal(file["starts"], start - 5)
        assert np.array_equal(file["ends"], end + 5)
        assert file["images"].shape == (2, 3, 2)
    frames = walk.frames(scale=4)
    assert len(frames) == 4
    # The ends stay, and the step between them moves; seen by the columns of strips.
    first, second = (pixels(frame) for frame in frames[:2])
    assert first.shape == second.shape
    changed = (first != second).any(2).any(0).nonzero()[:, 0]
    assert len(changed)
    assert changed.min() >= MARGIN + 24
    assert changed.max() < MARGIN + 24 + STRIP_GAP + 24


def test_films_have_every_label_and_large_tiles():
    images = torch.rand(3, 2, 1, 28, 28)
    labels = ("z0  1.23  44 % of class 7", "z1", "z2  0.1")
    walk = Picture(images, DataInfo((1, 28, 28)), row_labels=labels, column_labels=("-1", "1"), walk=True)
    frame = walk.frames()[0]
    widest = default_font(13).getlength(labels[0])
    tile = (frame.width - 2 * MARGIN - GAP) / 2
    assert tile >= max(widest, 112)


def test_samples_of_a_conditional_model_have_a_row_for_each_class():
    model = genmod.build("cvae", encoder="mlp", latent=2)
    picture = sample_grid(model, 23, seed=0)
    assert picture.row_labels == tuple("0123456789")
    assert picture.row_of.tolist() == [*range(10), *range(10), 0, 1, 2]
    assert picture.images.shape == (23, 1, 8, 8)
    # Three columns, of which the last has three examples.
    shown = pixels(dataclasses.replace(picture, title="").image(scale=8))
    top = shown.shape[0] - MARGIN - 10 * (64 + GAP) + GAP
    left = shown.shape[1] - MARGIN - 64
    rows = [
        shown[top + row * (64 + GAP) : top + row * (64 + GAP) + 64, left : left + 64] for row in range(10)
    ]
    blank = [set(map(tuple, row.reshape(-1, 3).tolist())) == {PAPER} for row in rows]
    assert blank == [False] * 3 + [True] * 7
    whole = (picture.images[22, 0] * 255).round().to(torch.uint8)
    assert torch.equal(rows[2][::8, ::8, 0], whole)
    assert sample_grid(model, 23, condition="3").row_labels == ()
    assert sample_grid(model, 5).row_of is None


def test_what_a_variable_follows():
    info = DataInfo((2,), factors=(Factor("size", 4), Factor("tilt", 3)), **UNBOUNDED)
    components = {"encoder": {"name": "mlp"}, "decoder": {"name": "gaussian"}}
    model = assemble(compose(components=components, latent=3), info)
    generator = torch.Generator().manual_seed(0)
    factors = torch.stack([torch.arange(240) % 4, torch.arange(240) // 4 % 3], 1)
    noise = torch.rand(240, 3, generator=generator)
    codes_ = torch.stack([factors[:, 1] + 0.1 * noise[:, 0], noise[:, 1], -factors[:, 0] + noise[:, 2]], 1)
    found = followed(model, codes_, Batch(torch.zeros(240, 2), factors=factors))
    assert {place: name for place, (name, _) in found.items()} == {0: "tilt", 2: "size"}
    assert found[0][1] > 0.9
    # What chance tells is no telling: not of 240 examples in bins, and not of a few.
    assert 1 not in found
    assert followed(model, codes_[:40], Batch(torch.zeros(40, 2), factors=factors[:40])) == {}
    assert followed(model, codes_, Batch(torch.zeros(240, 2))) == {}
