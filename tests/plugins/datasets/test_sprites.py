"""Sprites: pinned bits, shapes against independent geometry, and splits that keep twins together."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate

from genmod.errors import DataError
from genmod.plugins.datasets.sprites import Sprites

ROOT = Path("not there")
DEFAULT = {
    "train": (73541, "3f58d3cebf3b2a06938b63d60f32d9c41f6010118b81e980aee3073c3fd04238"),
    "validation": (9347, "0c3ac01542059803ae3e24d3bb15d6beb9d21f81aafff3bcbe85291697a3158b"),
    "test": (9272, "4ee2ee6184dd56d4976886747fdfcb1c913de71eca19aaabb80dd69af667b0eb"),
}
SMALL = {"resolution": 48, "scales": 3, "rotations": 7, "positions": 5}
SMALL_DIGESTS = {
    "train": (1240, "637efcd788f1fd72651f3a51e5d0617097d238d0155633efe7759da775ea02f5"),
    "validation": (155, "b65be1660902fcaa890a08df92966c2bdd336010f4b4d5ca0045a3631d4952a9"),
    "test": (180, "f8a145cb34a770e5cee765168ebc3b8b59793356e72cb7afcfc2c5929176ca8d"),
}


def everything(dataset):
    """All images of all splits, ordered by their factors."""
    batches = [dataset.split(name).in_memory() for name in ("train", "validation", "test")]
    factors = torch.cat([batch.factors for batch in batches]).numpy()
    order = np.lexsort(factors.T[::-1])
    return torch.cat([batch.x for batch in batches])[order, 0].numpy(), factors[order]


@pytest.mark.parametrize(("options", "expected"), [({}, DEFAULT), (SMALL, SMALL_DIGESTS)])
def test_splits_are_these_forever(options, expected, digest):
    sprites = Sprites(ROOT, **options)
    found = {name: (len(sprites.split(name)), digest(sprites.split(name))) for name in expected}
    assert found == expected


def test_every_combination_of_factors_is_there_once():
    _, factors = everything(Sprites(ROOT, **SMALL))
    expected = np.stack(np.unravel_index(np.arange(3 * 3 * 7 * 25), (3, 3, 7, 5, 5)), axis=1)
    assert np.array_equal(factors, expected)


def test_labels_are_shapes():
    batch = Sprites(ROOT, **SMALL).split("test").in_memory()
    assert torch.equal(batch.labels, batch.factors[:, 0])


def test_no_picture_is_empty():
    images, _ = everything(Sprites(ROOT, resolution=16))
    assert images.any((1, 2)).all()


def depths(shape, scale, rotation, x, y, resolution):
    """How far inside the outline each pixel is, in some unit, pixel by pixel in double precision."""
    turn = 2 * math.pi * rotation
    radius = 0.25 * scale
    picture = np.zeros((resolution, resolution))
    for row in range(resolution):
        for column in range(resolution):
            dx, dy = (column + 0.5) / resolution - x, (row + 0.5) / resolution - y
            right = (math.cos(turn) * dx + math.sin(turn) * dy) / radius
            down = (math.cos(turn) * dy - math.sin(turn) * dx) / radius
            if shape == 0:
                depth = math.sqrt(0.5) - max(abs(right), abs(down))
            elif shape == 1:
                depth = 1 - right**2 - (2 * down) ** 2
            else:
                a, b = 1.25 * right, -1.25 * down + 0.25
                depth = a * a * b**3 - (a * a + b * b - 1) ** 3
            picture[row, column] = depth
    return picture


def test_pictures_are_those_of_plain_geometry():
    options = {"resolution": 24, "scales": 4, "rotations": 9, "positions": 4}
    images, factors = everything(Sprites(ROOT, **options))
    for place in np.random.default_rng(0).choice(len(images), 60, replace=False):
        shape, scale, rotation, x, y = factors[place].tolist()
        centre = [0.25 + 0.5 * (place + 0.5) / 4 - 0.25 / 24 for place in (x, y)]
        depth = depths(shape, 0.5 + 0.5 * scale / 3, rotation / 9, *centre, 24)
        # Where an outline runs through the middle of a pixel, rounding decides.
        clear = np.abs(depth) > 1e-5
        assert clear.sum() > 24 * 24 - 12
        assert np.array_equal(images[place][clear], depth[clear] > 0), factors[place]


def test_areas_are_whole_at_every_edge():
    sprites = Sprites(ROOT, resolution=256, scales=1, rotations=3, positions=2)
    images, factors = everything(sprites)
    # The heart's area has no closed form; this is 2 ∫ r²/2 over its right half.
    angles = np.linspace(-math.pi / 2, math.pi / 2, 20001)
    low, high = np.zeros_like(angles), np.full_like(angles, 2.0)
    for _ in range(50):
        r = (low + high) / 2
        inside = (r * r - 1) ** 3 <= (r * np.cos(angles)) ** 2 * (r * np.sin(angles)) ** 3
        low, high = np.where(inside, r, low), np.where(inside, high, r)
    heart = integrate.trapezoid(low**2, angles)
    units = {0: 2.0, 1: math.pi / 2, 2: heart / 1.25**2}
    radius = 0.25 * 0.75 * 256  # a single scale is the middle one
    for image, (shape, *_) in zip(images, factors.tolist(), strict=True):
        assert image.sum() == pytest.approx(units[shape] * radius**2, rel=0.01)


def test_rotations_that_look_the_same_are_in_the_same_split():
    sprites = Sprites(ROOT, resolution=48, scales=2, rotations=12, positions=3)
    where = {}
    for name in ("train", "validation", "test"):
        batch = sprites.split(name).in_memory()
        for image, factors in zip(batch.x, batch.factors.tolist(), strict=True):
            where[tuple(factors)] = (name, image)
    for (shape, scale, rotation, x, y), (name, image) in where.items():
        quarter = (3, 6, 12)[shape]
        twin_name, twin = where[shape, scale, (rotation + quarter) % 12, x, y]
        assert twin_name == name
        assert torch.equal(twin, image)


@pytest.mark.slow
def test_no_image_is_in_two_splits():
    """Pixel for pixel, at the default options."""
    sprites = Sprites(ROOT)
    rows = {}
    for name in ("train", "validation", "test"):
        images = sprites.split(name).in_memory().x.flatten(1).numpy()
        rows[name] = {row.tobytes() for row in np.packbits(images, axis=1)}
    assert not rows["train"] & rows["test"]
    assert not rows["train"] & rows["validation"]
    assert not rows["validation"] & rows["test"]
    # Twins by symmetry apart, each combination of factors has an image of its own.
    assert sum(map(len, rows.values())) == 6 * 16 * 16 * (20 // 4 + 20 // 2 + 20)


def test_centres_are_where_the_factors_say():
    images, factors = everything(Sprites(ROOT, resolution=64, scales=1, rotations=1, positions=3))
    rows, columns = np.indices((64, 64)) + 0.5
    for image, (shape, _, _, x, y) in zip(images, factors.tolist(), strict=True):
        if shape < 2:
            expected = [16 + 32 * (place + 0.5) / 3 - 0.25 for place in (x, y)]
            found = [(image * places).sum() / image.sum() for places in (columns, rows)]
            assert found == pytest.approx(expected, abs=0.51)


def test_what_does_not_fit_in_memory_is_drawn_batch_by_batch(monkeypatch, digest):
    split = Sprites(ROOT, **SMALL).split("train")
    monkeypatch.setattr("genmod.plugins.datasets.sprites._IN_MEMORY_BYTES", 48 * 48 * len(split) - 1)
    assert split.in_memory() is None
    monkeypatch.setattr("genmod.plugins.datasets.sprites._CHUNK_PIXELS", 1)
    assert digest(split) == SMALL_DIGESTS["train"][1]


def test_dsprites_is_large_and_cheap_to_open():
    sprites = Sprites(ROOT, resolution=64, rotations=40, positions=32)
    assert sum(len(sprites.split(name)) for name in ("train", "validation", "test")) == 737_280
    assert sprites.split("train").in_memory() is None


def test_too_many_images_are_refused():
    with pytest.raises(DataError, match="at most 10,000,000"):
        Sprites(ROOT, scales=64, rotations=360, positions=256)


@pytest.mark.parametrize(
    "options", [{"scales": 1, "rotations": 1, "positions": 1}, {"scales": 2, "rotations": 1, "positions": 1}]
)
def test_few_images_leave_no_split_empty(options):
    sprites = Sprites(ROOT, **options)
    assert min(len(sprites.split(name)) for name in ("train", "validation", "test")) > 0
