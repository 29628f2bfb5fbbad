"""JPEGs that their decoder scales down: the same pictures but for a level or so, and only where that was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from genmod.plugins.datasets import _pictures
from genmod.plugins.datasets._crop import Crop
from genmod.plugins.datasets._pictures import read_picture
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.plugins.datasets.webdataset import WebDataset


@pytest.fixture
def photograph(tmp_path):
    """A picture of 240×320 pixels, smooth as photographs are, turned by its tag if that is asked for."""

    def made(name="a.jpg", turn=1):
        rng = np.random.default_rng(3)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        tags = Image.Exif()
        tags[0x0112] = turn
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(tmp_path / name, quality=92, exif=tags)
        return tmp_path / name

    return made


@pytest.fixture
def decoded(monkeypatch):
    """Sizes in which pictures leave the decoder, width and height."""
    sizes, before = [], _pictures._converted

    def again(image, channels):
        sizes.append(image.size)
        return before(image, channels)

    monkeypatch.setattr(_pictures, "_converted", again)
    return sizes


def differences(path, channels, size, crop=None):
    one, other = (read_picture(path, channels, size, None, crop, whole=whole) for whole in (False, True))
    return np.abs(one.astype(int) - other)


@pytest.mark.parametrize(
    ("size", "from_"),
    [
        ((16, 16), (40, 30)),
        ((20, 20), (40, 30)),
        ((21, 21), (80, 60)),
        ((60, 90), (160, 120)),
        ((81, 9), (320, 240)),
    ],
)
def test_it_is_at_least_one_and_a_half_times_what_is_asked_for(photograph, decoded, size, from_):
    found = differences(photograph(), 3, size)
    assert decoded == [from_, (320, 240)]
    assert found.max() <= 6
    assert found.mean() < 0.8
    assert found.any() == (from_ != (320, 240))


@pytest.mark.parametrize("turn", range(1, 9))
def test_turned_ones(photograph, decoded, turn):
    path = photograph(turn=turn)
    assert differences(path, 3, (30, 20)).mean() < 0.8
    sides = (240, 320) if turn > 4 else (320, 240)
    assert decoded == [tuple(side // 4 for side in sides), sides]


def test_grey_ones_are_read_without_colours(photograph, monkeypatch):
    path, modes = photograph(), []
    before = _pictures._converted
    monkeypatch.setattr(
        _pictures,
        "_converted",
        lambda image, channels: (modes.append(image.mode), before(image, channels))[1],
    )
    assert differences(path, 1, (20, 20)).max() <= 3
    assert modes == ["L", "RGB"]
    with Image.open(path) as image:
        grey = np.asarray(ImageOps.fit(image.convert("L"), (20, 20), Image.Resampling.BICUBIC))
    assert np.array_equal(read_picture(path, 1, (20, 20))[..., 0], grey)


def test_parts_are_scaled_as_far_as_their_scale_allows(photograph, decoded):
    path = photograph()
    assert differences(path, 3, (30, 30), Crop(40, 0.3, 0.9)).max() <= 6
    assert decoded == [(80, 60), (320, 240)]
    assert not differences(path, 3, (30, 30), Crop(None, 0.3, 0.9)).any()
    assert decoded[2:] == [(320, 240)] * 2


def test_other_formats_are_as_before(photograph, tmp_path):
    for suffix in ("png", "webp", "gif"):
        with Image.open(photograph()) as image:
            image.save(tmp_path / f"b.{suffix}")
        assert not differences(tmp_path / f"b.{suffix}", 3, (16, 16)).any()


def test_models_of_before_read_them_whole(photograph, decoded, archive):
    path = photograph()
    for kind, revisions, place in (
        (ImageFolder, (1, 2), path.parent),
        (WebDataset, (1,), archive(path.parent / "a.tar", [("a.jpg", path.read_bytes())])),
    ):
        for revision in revisions:
            options = kind.migrate({"path": place, "size": 16}, revision)
            x = kind(Path(), **options).everything().in_memory().x
            assert torch.equal(x[0], torch.tensor(read_picture(path, 3, (16, 16))).permute(2, 0, 1))
        assert not torch.equal(kind(Path(), path=place, size=16).everything().in_memory().x, x)
    assert ImageFolder.migrate({}, 2) == {"decode": "whole"}
