"""Pictures of any depth keep their values: of 1 to 16 bits, of 32, and in floating point."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmod import DataInfo, build, evaluate, load, save, train
from genmod.errors import DataError, DataWarning
from genmod.model.assembly import open_dataset
from genmod.plugins.datasets.image_folder import ImageFolder

RNG = np.random.default_rng(0)


def png(a, bits=16, palette=b""):
    """A PNG of ``a (height, width, channels)``, written by hand, since Pillow writes no 16 bits in colour."""
    height, width, channels = a.shape
    kind = 3 if palette else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    digits = "".join(format(int(v), f"0{bits}b") for v in a.reshape(-1))
    length = len(digits) // height
    rows = [digits[i * length : (i + 1) * length] for i in range(height)]
    rows = [int(row + "0" * (-length % 8), 2).to_bytes(-(-length // 8), "big") for row in rows]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def tiff(a, **options):
    stream = io.BytesIO()
    Image.fromarray(a).save(stream, "TIFF", **options)
    return stream.getvalue()


def tiff_in_colour(a, order="<", turn=1):
    """An uncompressed TIFF of 16 bits of ``a (height, width, 3)``, and how it is to be turned."""
    height, width, _ = a.shape
    tags = [
        (256, width),
        (257, height),
        (258, None),
        (259, 1),
        (262, 2),
        (273, None),
        (274, turn),
        (277, 3),
        (278, height),
    ]
    depths = 8 + 2 + 12 * (len(tags) + 1) + 4
    out = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags) + 1)
    for tag, value in [*tags, (279, a.size * 2)]:
        if tag in (258, 273, 279):
            number = {258: depths, 273: depths + 6, 279: value}[tag]
            out += struct.pack(f"{order}HHII", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, number)
        else:
            out += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return out + struct.pack(f"{order}IHHH", 0, 16, 16, 16) + a.astype(f"{order}u2").tobytes()


def folder(place, pictures, suffix, **options):
    place.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures):
        (place / f"{i:02}.{suffix}").write_bytes(picture)
    return ImageFolder(place, path=place, **options)


def read(data):
    """Number of each picture → its values as they are stored, ``(height, width, channels)``."""
    found = {}
    for name in ("train", "validation", "test"):
        split = data.split(name)
        for file, x in zip(split.names, split.in_memory().x, strict=True):
            found[int(Path(file).stem)] = x.permute(1, 2, 0).numpy()
    return [found[i] for i in range(len(found))]


def arrays(top, channels=1, n=12):
    made = [RNG.integers(0, top, (6, 7, channels)) for _ in range(n)]
    made[0][0, 0, 0] = top - 1
    return made


def expect_kept(data, wanted, levels):
    assert data.info.levels == levels
    for found, values in zip(read(data), wanted, strict=True):
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("top", [4096, 65536, 1000])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_16_bits(tmp_path, channels, top):
    a = arrays(top, channels)
    expect_kept(folder(tmp_path, map(png, a), "png", channels=channels), a, {1000: 1024}.get(top, top))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_of_few_bits(tmp_path, bits):
    a = arrays(2**bits)
    data = folder(tmp_path, [png(each, bits) for each in a], "png", channels=1)
    expect_kept(data, [each * (255 // (2**bits - 1)) for each in a], 256)


def test_a_palette(tmp_path):
    colours = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
    a = arrays(256)
    data = folder(tmp_path, [png(each, 8, colours.tobytes()) for each in a], "png")
    expect_kept(data, [colours[each[..., 0]] for each in a], 256)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("colours", [1, 3])
def test_opacity_of_16_bits(tmp_path, colours, kept):
    a = arrays(4096, colours + 1)
    for each in a:
        each[..., -1] = 65535 * (RNG.random((6, 7)) > 0.5)
    data = folder(tmp_path, map(png, a), "png", channels=4 if kept else colours, white=65535)
    for found, each in zip(read(data), a, strict=True):
        if kept:
            np.testing.assert_array_equal(found[..., :3], np.broadcast_to(each[..., :-1], (6, 7, 3)))
            np.testing.assert_array_equal(found[..., 3:], each[..., -1:])
        else:
            np.testing.assert_array_equal(found, np.where(each[..., -1:] > 0, each[..., :-1], 65535))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize(("dtype", "top", "levels"), [("u2", 4096, 4096), ("i4", 100_000, 131_072)])
def test_tiff_of_whole_numbers(tmp_path, dtype, top, levels, compression):
    a = [each[..., 0].astype(dtype) for each in arrays(top)]
    data = folder(tmp_path, [tiff(each, compression=compression) for each in a], "tif", channels=1)
    expect_kept(data, [each[..., None] for each in a], levels)


@pytest.mark.parametrize(("scale", "bounds"), [(1, (0, 1)), (300, (-np.inf, np.inf))])
def test_tiff_in_floating_point(tmp_path, scale, bounds):
    a = [scale * RNG.random((6, 7)).astype(np.float32) for _ in range(12)]
    data = folder(tmp_path, map(tiff, a), "tif", channels=1)
    assert (data.info.low, data.info.high) == bounds
    expect_kept(data, [each[..., None] for each in a], None)
    bounded = ImageFolder(tmp_path, path=tmp_path, channels=1, white=300)
    np.testing.assert_allclose(read(bounded)[3][..., 0], a[3] / 300, rtol=1e-6)
    assert (bounded.info.low, bounded.info.high) == (0, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_16_bits_in_colour(tmp_path, order):
    a = arrays(4096, 3)
    expect_kept(folder(tmp_path, [tiff_in_colour(each, order) for each in a], "tif"), a, 4096)


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_tiff_of_16_bits_in_colour_that_is_turned(tmp_path, turn):
    a = arrays(4096, 3)
    data = folder(tmp_path, [tiff_in_colour(each, turn=turn) for each in a], "tif")
    expect_kept(data, [np.rot90(each, {3: 2, 6: -1, 8: 1}[turn]) for each in a], 4096)


@pytest.mark.parametrize(("kind", "channels"), [(b"P5", 1), (b"P6", 3)])
def test_portable_pixmaps_of_16_bits(tmp_path, kind, channels):
    a = arrays(4096, channels)
    written = [kind + b"\n7 6\n4095\n" + each.astype(">u2").tobytes() for each in a]
    expect_kept(folder(tmp_path, written, "ppm", channels=channels), a, 4096)


def test_pictures_of_8_bits_among_deeper_ones_are_as_bright(tmp_path):
    written = [*map(png, arrays(4096)), png(np.full((6, 7, 1), 255), 8)]
    data = folder(tmp_path, written, "png", channels=1)
    with pytest.warns(DataWarning, match=r"12 of 13 pictures, such as 00.png, .* 4,096 levels"):
        assert data.info.levels == 4096
    assert np.unique(read(data)[-1]).tolist() == [4095]


def test_deep_pictures_are_scaled_and_turned(tmp_path):
    a = np.zeros((16, 32, 1), int)
    a[:, :16] = 4000
    data = folder(tmp_path, [png(a)] * 3, "png", channels=1, size=(8, 16))
    assert read(data)[0][:, :6].min() == 4000
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(a[..., 0].astype(np.uint16)).save(stream, "PNG", exif=exif)
    turned = folder(tmp_path / "turned", [stream.getvalue()] * 3, "png", channels=1)
    assert turned.info.shape == (1, 32, 16)
    assert read(turned)[0][:16].min() == 4000


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colours_are_refused_by_name(tmp_path, mode):
    stream = io.BytesIO()
    Image.new(mode, (5, 5)).save(stream, "TIFF")
    with Image.open(io.BytesIO(stream.getvalue())) as image:
        if image.mode != mode:
            pytest.skip(f"this version of Pillow reads it as {image.mode}")
    with pytest.raises(DataError, match=mode):
        _ = folder(tmp_path, [stream.getvalue()] * 3, "tif").info


def test_a_new_folder_is_read_by_the_models_white(tmp_path):
    bright, dark = arrays(4096), [np.minimum(each, 300) for each in arrays(4096)]
    data = folder(tmp_path / "bright", map(png, bright), "png", channels=1)
    part = {"name": "image-folder", "path": str(data.path), "channels": 1}
    model = build(data=part, encoder={"name": "mlp", "hidden": [8]}, decoder="gaussian", latent=2)
    train(model, steps=2, device="cpu", batch_size=4)
    model = load(save(model, tmp_path / "model"))
    other = folder(tmp_path / "dark", map(png, dark), "png", channels=1)
    assert other.info.levels == 512
    with pytest.raises(DataError, match="512 levels"):
        evaluate(model, other)
    opened = open_dataset(model.spec.with_options({"dataset.path": str(other.path)}), info=model.data)
    assert opened.info.levels == 4096
    found = opened.split("test")
    wanted = dark[int(Path(found.names[0]).stem)]
    np.testing.assert_array_equal(found.__getitems__([0]).x[0].permute(1, 2, 0), wanted)
    assert model.data.values(found.__getitems__([0]).x).max() <= 300 / 4095
    brighter = folder(tmp_path / "brighter", [png(np.full((6, 7, 1), 9000))] * 12, "png", channels=1)
    with pytest.raises(DataError, match="9000"):
        evaluate(
            model,
            open_dataset(model.spec.with_options({"dataset.path": str(brighter.path)}), info=model.data),
        )


def test_models_of_before_see_8_bits_and_their_own_splits(tmp_path):
    a = arrays(65536, n=40)
    folder(tmp_path, map(png, a), "png")
    options = ImageFolder.migrate({"path": str(tmp_path), "channels": 1}, 1)
    old = ImageFolder(tmp_path, **{**options, "path": Path(options["path"])})
    assert old.info.levels == 256
    x = old.split("train").in_memory().x
    assert x.dtype == torch.uint8
    file = old.split("train").names[0]
    np.testing.assert_array_equal(x[0, 0], (a[int(Path(file).stem)][..., 0] * 255 + 32767) // 65535)


def test_other_kinds_of_values_are_refused_where_a_model_says_which(tmp_path):
    data = folder(tmp_path, map(png, arrays(4096)), "png", channels=1)
    (tmp_path / "05.png").write_bytes(tiff(RNG.random((6, 7)).astype(np.float32)))
    with pytest.raises(DataError, match="has whole numbers"):
        _ = data.info
    known = ImageFolder(tmp_path, path=tmp_path, channels=1, size=(6, 7))
    known.known = DataInfo((1, 6, 7), levels=4096)
    assert known.info.levels == 4096
    with pytest.raises(DataError, match=r"05.png has floating-point values, and others have whole numbers"):
        known.everything().in_memory()


def test_a_pixmap_is_read_no_further_than_its_pixels(tmp_path):
    a = arrays(4096, 3)
    data = folder(tmp_path, [b"P6\n7 6\n4095\n" + each.astype(">u2").tobytes() for each in a], "ppm")
    with (tmp_path / "00.ppm").open("r+b") as file:
        file.truncate(2**40)  # a file with holes, which takes no room
    expect_kept(data, a, 4096)
