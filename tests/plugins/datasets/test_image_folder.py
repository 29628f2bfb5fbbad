"""Pictures of every kind, orderly folders and disorderly ones."""

import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmod.errors import DataError
from genmod.plugins.datasets import _picture_split
from genmod.plugins.datasets._crop import Crop
from genmod.plugins.datasets._pictures import header_of, read_picture, size_of
from genmod.plugins.datasets.image_folder import ImageFolder

SPLITS = ("train", "validation", "test")
VALIDATION = [f"{i:03}.png" for i in (14, 16, 36, 38, 58, 17, 23, 27, 39)]
TEST = [f"{i:03}.png" for i in (12, 30, 50, 15, 29, 37, 57)]


def names(dataset, split):
    return [Path(name).name for name in dataset.split(split).names]


def files(dataset, split):
    """The files of a split, in its order."""
    return [dataset._place / name for name in dataset.split(split).names]


def refusal(function):
    with pytest.raises(DataError) as raised:
        function()
    assert raised.value.hint
    return raised.value.message


# How a folder becomes splits and classes.


def test_folders_are_classes(tmp_path, pictures):
    pictures(tmp_path, 60)
    data = ImageFolder(tmp_path, path=tmp_path)
    assert data.info.classes == ("cat", "dog")
    assert data.info.shape == (3, 5, 7)
    for split in SPLITS:
        for file, label in zip(files(data, split), data.split(split).labels.tolist(), strict=True):
            assert file.parent.name == data.info.classes[label]


def test_without_folders_there_are_no_classes(tmp_path, pictures):
    pictures(tmp_path, 60, classes=())
    data = ImageFolder(tmp_path, path=tmp_path)
    assert data.info.classes == ()
    assert data.split("train").in_memory().labels is None
    pictures(tmp_path, 2)  # some in folders, some not
    assert ImageFolder(tmp_path, path=tmp_path).info.classes == ()


def test_deeper_folders_belong_to_the_first(tmp_path, pictures):
    pictures(tmp_path / "a" / "b", 20)
    pictures(tmp_path / "c", 20, classes=())
    assert ImageFolder(tmp_path, path=tmp_path).info.classes == ("a", "c")


def by_hash(root, path):
    """As models of before have it."""
    return ImageFolder(root, path=path, splits="hash")


@pytest.mark.slow
def test_pictures_added_later_move_no_others(tmp_path, pictures):
    pictures(tmp_path / "one", 80)
    before = {split: set(names(by_hash(tmp_path, tmp_path / "one"), split)) for split in SPLITS}
    assert min(map(len, before.values())) > 0
    pictures(tmp_path / "one", 160)
    after = {split: set(names(by_hash(tmp_path, tmp_path / "one"), split)) for split in SPLITS}
    assert all(before[split] <= after[split] for split in SPLITS)
    shutil.move(tmp_path / "one", tmp_path / "two")
    moved = {split: set(names(by_hash(tmp_path, tmp_path / "two"), split)) for split in SPLITS}
    assert moved == after


def test_splits_are_these_forever(tmp_path, pictures):
    pictures(tmp_path, 60)
    data = by_hash(tmp_path, tmp_path)
    assert names(data, "validation") == VALIDATION
    assert names(data, "test") == TEST


@pytest.mark.parametrize("n", [*range(3, 31), 47, 100])
def test_shares_are_exact_and_never_empty(tmp_path, pictures, n):
    pictures(tmp_path, n)
    data = ImageFolder(tmp_path, path=tmp_path)
    share = max(1, (n + 5) // 10)
    assert [len(data.split(split)) for split in SPLITS] == [n - 2 * share, share, share]


def test_pictures_added_later_move_few_others(tmp_path, pictures):
    """One over each border, and none between validation and testing."""
    before = None
    for n in range(12, 60):
        pictures(tmp_path, n)
        data = ImageFolder(tmp_path, path=tmp_path)
        now = {name: split for split in SPLITS for name in names(data, split)}
        if before is not None:
            moved = [(before[name], now[name]) for name in before if before[name] != now[name]]
            assert sum("validation" in pair for pair in moved) <= 1
            assert sum("test" in pair for pair in moved) <= 1
            assert not any("train" not in pair for pair in moved)
        before = now


@pytest.mark.parametrize("validation", ["validation", "valid", "val"])
def test_folders_named_like_splits_are_the_splits(tmp_path, pictures, validation):
    for name, count in (("train", 9), (validation, 5), ("test", 4)):
        pictures(tmp_path / name, count)
    data = ImageFolder(tmp_path, path=tmp_path)
    assert [len(data.split(split)) for split in SPLITS] == [9, 5, 4]
    assert data.info.classes == ("cat", "dog")
    assert {file.parent.parent.name for file in files(data, "validation")} == {validation}


def test_a_split_without_a_folder_is_a_tenth_of_the_training_data(tmp_path, pictures):
    pictures(tmp_path / "train", 100)
    pictures(tmp_path / "test", 4)
    data = ImageFolder(tmp_path, path=tmp_path)
    train, validation, test = (len(data.split(split)) for split in SPLITS)
    assert train + validation == 100
    assert 3 <= validation <= 20
    assert test == 4


def test_splits_without_training_data_are_refused(tmp_path, pictures):
    pictures(tmp_path / "test", 4)
    pictures(tmp_path / "other", 4)
    assert "has a folder test, but no folder train" in refusal(
        lambda: ImageFolder(tmp_path, path=tmp_path).info
    )


def test_an_empty_split_is_refused(tmp_path, pictures):
    pictures(tmp_path, 1)
    data = ImageFolder(tmp_path, path=tmp_path)
    empty = [split for split in SPLITS if not len(data.places(split))]
    assert len(empty) == 2
    for split in empty:
        assert f"falls into the {split} split" in refusal(lambda s=split: data.split(s))


def test_order_is_that_of_the_paths(tmp_path, pictures):
    pictures(tmp_path / "train", 30)
    data = ImageFolder(tmp_path, path=tmp_path)
    paths = [file.as_posix() for file in files(data, "train")]
    assert paths == sorted(paths)


def test_what_is_no_picture_is_passed_over(tmp_path, pictures):
    pictures(tmp_path, 40)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    (tmp_path / "cat" / ".hidden.png").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_text("x")
    (tmp_path / "cat" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "nowhere.png").symlink_to(tmp_path / "nowhere")
    data = ImageFolder(tmp_path, path=tmp_path)
    assert len(data.everything()) == 40


def test_links_are_followed_once(tmp_path, pictures):
    pictures(tmp_path / "real", 40)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "data")
    data = ImageFolder(tmp_path, path=tmp_path / "data")
    assert len(data.everything()) == 40


def test_no_folder_and_no_pictures(tmp_path):
    assert "there is no" in refusal(lambda: ImageFolder(tmp_path, path=tmp_path / "nothing").info)
    assert "has no pictures" in refusal(lambda: ImageFolder(tmp_path, path=tmp_path, size=4).info)
    place = tmp_path / "my pictures"
    for folder, told in ((place, True), (place / "train", True), (place / "other", False)):
        folder.mkdir(parents=True)
        (folder / "a.tar").touch()
        with pytest.raises(DataError) as raised:
            ImageFolder(tmp_path, path=place, size=4).split("train")
        assert (f"--data webdataset -s dataset.path='{place}'" in raised.value.hint) == told
        (folder / "a.tar").unlink()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Not a directory"):
        ImageFolder(tmp_path, path=tmp_path / "file", size=4).split("train")


# How pictures become tensors.


def test_unequal_sizes_are_refused_without_a_size(tmp_path, pictures):
    pictures(tmp_path, 40)
    Image.new("RGB", (9, 4)).save(tmp_path / "dog" / "zz.png")
    text = refusal(lambda: ImageFolder(tmp_path, path=tmp_path).info)
    assert "5×7 pixels" in text
    assert "zz.png has 4×9" in text
    assert ImageFolder(tmp_path, path=tmp_path, size=8).info.shape == (3, 8, 8)


def test_a_turned_picture_has_the_size_that_it_is_shown_in(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255  # bright on the left; shown, after a quarter turn clockwise, at the top
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert size_of(tmp_path / "a.png") == (32, 16)
    picture = read_picture(tmp_path / "a.png", 1, (32, 16))
    assert picture[:16].min() == 255
    assert picture[16:].max() == 0


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation(tmp_path, suffix, tag, mode):
    """Bright where the picture, as it is shown, is at the top left."""
    shown = np.zeros((32, 48), np.uint8)
    shown[:16, :16] = 255
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.T,
        6: np.rot90(shown),
        7: shown[::-1, ::-1].T,
        8: np.rot90(shown, -1),
    }[tag]
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).convert(mode).save(path, exif=exif)
    if suffix in ("png", "tiff"):
        Image.fromarray(stored.astype(np.uint16) * 257).save(tmp_path / f"deep.{suffix}", exif=exif)
        assert header_of(tmp_path / f"deep.{suffix}") == (32, 48, 16)
        assert np.array_equal(
            read_picture(tmp_path / f"deep.{suffix}", 1, (32, 48), 65535)[..., 0], shown * 257.0
        )
    assert size_of(path) == (32, 48)
    for found in (read_picture(path, 1, (32, 48)), read_picture(path, 1, (32, 48), None, Crop())):
        assert np.abs(found[..., 0].astype(int) - shown).mean() < 4


def test_pictures_cover_the_size_and_are_cut_evenly(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (255, 0, 10)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png", 3, (20, 20)), pixels[:, 20:40])
    small = read_picture(tmp_path / "a.png", 3, (4, 4))
    assert np.abs(small.astype(int) - (255, 0, 10)).max() <= 25  # a smooth filter also sees beyond the cut
    assert np.array_equal(small[:, 1:3], np.broadcast_to((255, 0, 10), (4, 2, 3)))
    # A wide window is cut from top and bottom instead.
    assert read_picture(tmp_path / "a.png", 3, (5, 60)).shape == (5, 60, 3)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255, 255)),
        ("L", 77, (77, 77, 77, 255)),
        ("I;16", 65535, (255, 255, 255, 255)),
        ("I;16", 257 * 77, (77, 77, 77, 255)),
        ("P", None, (200, 100, 0, 255)),
        ("RGB", (200, 100, 0), (200, 100, 0, 255)),
        ("RGBA", (200, 100, 0, 255), (200, 100, 0, 255)),
        ("RGBA", (200, 100, 0, 0), (200, 100, 0, 0)),
        ("LA", (50, 0), (50, 50, 50, 0)),
    ],
)
def test_every_kind_of_pixel(tmp_path, mode, value, expected, channels):
    if mode == "P":
        image = Image.new("RGB", (4, 4), (200, 100, 0)).quantize(2)
    elif mode == "I;16":
        image = Image.fromarray(np.full((4, 4), value, np.uint16))
    else:
        image = Image.new(mode, (4, 4), value)
    image.save(tmp_path / "a.png")
    red, green, blue, alpha = expected
    if channels < 4 and alpha == 0:
        red = green = blue = 255  # transparent parts are shown on white
    grey = Image.new("RGB", (1, 1), (red, green, blue)).convert("L").getpixel((0, 0))
    picture = read_picture(tmp_path / "a.png", channels, (4, 4))
    wanted = {1: (grey,), 3: (red, green, blue), 4: (red, green, blue, alpha)}[channels]
    assert np.array_equal(picture, np.broadcast_to(np.array(wanted), (4, 4, channels)))


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 100, 0, 1, 2, 3])
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    picture = read_picture(tmp_path / "a.png", 3, (4, 4))
    assert picture[0, 0].tolist() == [1, 2, 3]
    assert picture[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "suffix", ["bmp", "gif", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp", "PNG"]
)
def test_every_format(tmp_path, suffix):
    path = tmp_path / "train" / f"a.{suffix}"
    path.parent.mkdir()
    Image.new("L" if suffix == "pgm" else "RGB", (6, 5), 128).save(path)
    data = ImageFolder(tmp_path, path=tmp_path, channels=1)
    assert data.everything().names == [f"train/a.{suffix}"]
    assert data.info.shape == (1, 5, 6)


def test_batches_equal_pillows_pixels(tmp_path, pictures):
    pictures(tmp_path / "train", 30)
    pictures(tmp_path / "val", 3)
    pictures(tmp_path / "test", 3)
    data = ImageFolder(tmp_path, path=tmp_path)
    split = data.split("train")
    batch = split.__getitems__([7, 0])
    for place, index in enumerate([7, 0]):
        pixels = np.asarray(Image.open(files(data, "train")[index]))
        assert np.array_equal(batch.x[place].permute(1, 2, 0).numpy(), pixels)
    assert batch.x.is_contiguous()


def test_what_does_not_fit_in_memory_is_read_batch_by_batch(tmp_path, pictures, monkeypatch):
    pictures(tmp_path / "train", 30)
    split = ImageFolder(tmp_path, path=tmp_path).split("train")
    size = len(split) * 3 * 5 * 7
    monkeypatch.setattr("genmod.plugins.datasets._picture_split._IN_MEMORY_BYTES", size)
    assert torch.equal(split.in_memory().x, split.__getitems__(range(len(split))).x)
    monkeypatch.setattr("genmod.plugins.datasets._picture_split._IN_MEMORY_BYTES", size - 1)
    assert split.in_memory() is None


def test_many_pictures_for_training_are_held_once_they_were_read(tmp_path, pictures, monkeypatch):
    pictures(tmp_path / "train", 30)
    pictures(tmp_path / "val", 12)
    read = []
    before = _picture_split.read_picture
    monkeypatch.setattr(
        _picture_split,
        "read_picture",
        lambda *given, **named: (read.append(given[0].name), before(*given, **named))[1],
    )
    plain = ImageFolder(tmp_path, path=tmp_path).split("train").in_memory()
    monkeypatch.setattr(_picture_split, "_IN_MEMORY", 10)
    data = ImageFolder(tmp_path, path=tmp_path)
    train, validation = data.split("train"), data.split("validation")
    assert train.in_memory() is validation.in_memory() is None
    read.clear()
    for indices in ([3, 9, 3], [9, 10], [3], [], range(len(train))):
        batch = train.__getitems__(indices)
        assert torch.equal(batch.x, plain.x[list(indices)])
        assert torch.equal(batch.labels, plain.labels[list(indices)])
    assert len(read) == len(set(read)) == len(train)
    for _ in range(2):
        validation.__getitems__([4])
    assert len(read) == len(train) + 2


# What is broken.


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("ignore:Image size:Warning")
@pytest.mark.parametrize("size", [(8193, 8192), (9500, 9500), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_enormous_pictures_are_not_unpacked(tmp_path, size):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(*size))
    for read in (lambda: size_of(path), lambda: read_picture(path, 3, (4, 4))):
        text = refusal(read)
        assert str(path) in text
        assert "pixels" in text


def test_the_largest_picture_that_is_allowed(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(8192, 8192))
    assert size_of(tmp_path / "a.png") == (8192, 8192)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff", "bmp"])
def test_truncated_pictures(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 4, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of some damage before it gives up
            text = refusal(lambda: read_picture(path, 3, (20, 20)))
        assert str(path) in text


def test_unreadable_pictures_are_listed(tmp_path, pictures):
    pictures(tmp_path / "train", 200)
    data = ImageFolder(tmp_path, path=tmp_path, size=8)
    split = data.split("train")
    broken = files(data, "train")[5:18]
    for path in broken:
        path.write_text("rubbish")
    with pytest.raises(DataError) as raised:
        split.in_memory()
    assert all(str(path) in raised.value.message for path in broken[:10])
    assert "and 3 more" in raised.value.message
    assert "none of BMP" in raised.value.message
    assert "delete it" in raised.value.hint
    assert len(split.__getitems__([0, 1, 2])) == 3


def test_other_formats_are_not_opened_under_a_false_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "none of BMP" in refusal(lambda: read_picture(tmp_path / "a.png", 3, (4, 4)))


def test_the_data_folder_is_searched_too(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(Path("/"))
    pictures(tmp_path / "here", 40)
    assert ImageFolder(tmp_path, path=Path("here")).info.shape == (3, 5, 7)
