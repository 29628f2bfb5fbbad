"""Sprites: pinned bits, shapes against independent geometry, and splits that keep twins together."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from genmod.errors import DataError
from genmod.plugins.datasets.sprites import Sprites

ROOT = Path("not there")
DEFAULT = {
    "train": (73541, "dafb2ef53c018383aef32f7e83397207125690578bb656d533ff7b9f1dad174a"),
    "validation": (9347, "32dd31b6f6fa747b07073366769f8e7455cd3b9dd6c0ffa41522cc78acf12b80"),
    "test": (9272, "276f60302d77ff191185c1207b41a0cef84a2072565a548db840980adf3155ed"),
}
SMALL = {"resolution": 48, "scales": 3, "rotations": 7, "positions": 5}
SMALL_DIGESTS = {
    "train": (1240, "1a5f14a7e038bbb5c2a7f4388085b0f407c5dbe450b14d40b2e4642991ed8b5c"),
    "validation": (155, "3232465d9cce36c7d5538a076febb7f354d383ed0c48883aa327f8423b67b621"),
    "test": (180, "fac415ce4c4bc57682b51b3af82475934951bf473a842ea1ba3e3ddf5e42b1ad"),
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
        depth = depths(shape, 0.5 + 0.5 * scale / 3, rotation / 9, 0.25 + 0.5 * x / 3, 0.25 + 0.5 * y / 3, 24)
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
    heart = np.trapezoid(low**2, angles) if hasattr(np, "trapezoid") else np.trapz(low**2, angles)
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


def test_centres_are_where_the_factors_say():
    images, factors = everything(Sprites(ROOT, resolution=64, scales=1, rotations=1, positions=3))
    rows, columns = np.indices((64, 64)) + 0.5
    for image, (shape, _, _, x, y) in zip(images, factors.tolist(), strict=True):
        if shape < 2:
            assert (image * columns).sum() / image.sum() == pytest.approx(16 + 16 * x, abs=0.51)
            assert (image * rows).sum() / image.sum() == pytest.approx(16 + 16 * y, abs=0.51)


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
