"""Pictures in tar archives: read where they are, as they would be in a folder, and never from a dishonest archive."""

import contextlib
import gzip
import io
import os
import shutil
import struct
import subprocess
import tarfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmod.errors import DataError
from genmod.plugins.datasets import _tar
from genmod.plugins.datasets._tar import _records, members_of
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.plugins.datasets.webdataset import WebDataset
from genmod.registry.lookup import Registry
from genmod.registry.paths import dataset_at

RNG = np.random.default_rng(0)
SPLITS = ("train", "validation", "test")


def picture(kind="PNG", mode="RGB", size=(9, 8), **options):
    shape = (*size, 3) if mode == "RGB" else size
    values = RNG.integers(0, 65536 if mode == "I;16" else 256, shape)
    content = io.BytesIO()
    made = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8))
    made.save(content, kind, **options)
    return content.getvalue()


def opened(path, **options):
    return WebDataset(path.parent, path=path, **options)


def refusal(path):
    with pytest.raises(DataError) as raised:
        _ = opened(path).info
    assert raised.value.hint
    assert "\n" not in raised.value.message  # it is one error, not one within another
    return raised.value.message


def unpacked(path, folder):
    with tarfile.open(path) as packed:
        packed.extractall(folder, filter="data")
    return ImageFolder(folder, path=folder)


# Where the members of an archive are.

NAMES = [
    "a.png",
    "d/b.txt",
    f"{'long/' * 30}c.png",
    f"{'x' * 180}.png",
    "é/日本.png",
    "empty.png",
    "d/e.f.png",
]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_where_tarfile_finds_them(tmp_path, archive, format):
    names = [n for n in NAMES if format != tarfile.USTAR_FORMAT or not n.startswith("xx")]
    members = [(name, RNG.bytes(int(RNG.integers(1, 2000)) if "empty" not in name else 0)) for name in names]
    path = archive(tmp_path / "a.tar", members, format=format)
    with tarfile.open(path, "a", format=format) as more:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        more.addfile(folder)
        more.addfile(tarfile.TarInfo("after"), io.BytesIO())
    with tarfile.open(path) as read:
        wanted = [(m.name, m.offset_data, m.size) for m in read if m.isreg()]
    assert [(m.name, m.offset, m.size) for m in members_of(path)] == wanted
    assert [m.read_bytes() for m in members_of(path)] == [content for _, content in members] + [b""]


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no program tar")
@pytest.mark.parametrize("format", ["v7", "ustar", "oldgnu", "gnu", "pax"])
def test_archives_of_the_program_tar(tmp_path, format):
    for name in ("a/b/c.png", "d.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(RNG.bytes(700))
    command = ["tar", f"--format={format}", "-cf", "out.tar", "-C", "in", "a", "d.png"]
    if subprocess.run(command, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("this program knows no such format")
    found = {m.name: m.read_bytes() for m in members_of(tmp_path / "out.tar")}
    assert found == {name: (tmp_path / "in" / name).read_bytes() for name in ("a/b/c.png", "d.png")}


# What the pictures are.


def test_pictures_are_those_of_a_folder(tmp_path, archive):
    kinds = [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("WEBP", "webp"),
        ("TIFF", "tif"),
        ("BMP", "bmp"),
        ("GIF", "gif"),
    ]
    members = [(f"{i:02}.{end}", picture(kind)) for i, (kind, end) in enumerate(kinds * 3)]
    members += [("90.tiff", picture("TIFF", compression="tiff_lzw")), ("91.ppm", picture("PPM"))]
    path = archive(tmp_path / "a.tar", members)
    here, there = opened(path), unpacked(path, tmp_path / "out")
    assert here.info == there.info
    for split in SPLITS:
        names = here.split(split).names
        assert torch.equal(
            here.split(split).in_memory().x,
            there.everything().__getitems__([there.everything().names.index(name) for name in names]).x,
        )


def test_deep_pictures_keep_their_values(tmp_path, archive):
    deep = RNG.integers(0, 4096, (6, 7, 3))
    members = [
        ("a.png", picture(mode="I;16")),
        ("b.tiff", picture("TIFF", mode="I;16", compression="tiff_lzw")),
    ]
    members += [("c.ppm", b"P6\n7 6\n4095\n" + deep.astype(">u2").tobytes())]
    path = archive(tmp_path / "a.tar", members)
    here, there = opened(path, size=(6, 7)), unpacked(path, tmp_path / "out")
    there.size = (6, 7)
    assert here.info.levels == 65536
    assert torch.equal(here.everything().in_memory().x, there.everything().in_memory().x)
    assert np.array_equal(here.everything().__getitems__([2]).x[0].permute(1, 2, 0).numpy(), deep)


def test_crops_are_random_in_training_alone(tmp_path, archive):
    members = [(f"{i}.png", picture(size=(30, 40))) for i in range(20)]
    data = opened(archive(tmp_path / "a.tar", members), crop=8)
    train = data.split("train")
    assert train.varies
    assert not torch.equal(train.varied([0], seed=0, step=0).x, train.varied([0], seed=0, step=1).x)
    assert not data.split("test").varies


# Classes and splits.


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", " 2\n", "-1", "2"], ("-1", "2", "10")),
        (["cat", "dog", "10", "cat"], ("10", "cat", "dog")),
        (["--1", "2", "2", "10"], ("--1", "10", "2")),
        (["0" * 30 + "7", "7", "8", "8"], ("0" * 30 + "7", "7", "8")),
        (["cat", "", "dog", "cat"], ()),
    ],
)
@pytest.mark.parametrize("form", ["cls", "json"])
def test_classes(tmp_path, archive, labels, classes, form):
    members = []
    for i, label in enumerate(labels):
        text = label if form == "cls" else f'{{"label": "{label.strip()}", "more": [1, 2]}}'
        members += [(f"d/{i}.png", picture())]
        members += [(f"d/{i}.{form}", text.encode())] * bool(label) + [(f"d/{i}.txt", b"a picture")]
    data = opened(archive(tmp_path / "a.tar", members))
    assert data.info.classes == classes
    found = data.everything().in_memory().labels
    if classes:
        assert [classes[n] for n in found.tolist()] == [label.strip() for label in labels]
    else:
        assert found is None


def test_numbers_in_json(tmp_path, archive):
    members = [
        (f"{i}.{end}", content)
        for i in range(12)
        for end, content in (("json", b'{"cls": %d}' % (i % 11)), ("jpeg", picture("JPEG")))
    ]
    data = opened(archive(tmp_path / "a.tar", members))
    assert data.info.classes == tuple(map(str, range(11)))
    assert data.everything().in_memory().labels.tolist() == [i % 11 for i in range(12)]


def test_splits_do_not_depend_on_the_archive(tmp_path, archive):
    members = [(f"{i:03}.png", picture()) for i in range(60)]
    archive(tmp_path / "one" / "a.tar", members)
    for i in range(3):
        archive(tmp_path / "three" / f"{i}.tar", members[i::3])

    def keys(place, split):
        return {name.rsplit("/")[-1] for name in opened(place).split(split).names}

    for split in SPLITS:
        assert keys(tmp_path / "one", split) == keys(tmp_path / "three", split)
        assert len(keys(tmp_path / "one", split)) == {"train": 48}.get(split, 6)
    assert opened(tmp_path / "three").everything().names[:2] == ["0.tar/000.png", "0.tar/003.png"]


def test_folders_are_splits(tmp_path, archive):
    for name, numbers in (("train", range(9)), ("val", range(9, 12)), ("test", range(12, 16))):
        archive(tmp_path / name / "a.tar", [(f"{i}.png", picture()) for i in numbers])
    assert [len(opened(tmp_path).split(split)) for split in SPLITS] == [9, 3, 4]


def test_a_path_is_enough(tmp_path, archive):
    archive(tmp_path / "photos.tar", [(f"{i}.png", picture()) for i in range(9)])
    found = dataset_at(str(tmp_path / "photos.tar"), Registry(third_party=False))
    assert found.name == "webdataset"
    assert opened(Path(found.options["path"])).info.shape == (3, 9, 8)


# What is refused.


@pytest.mark.parametrize("kind", ["LNK", "SYM", "CHR", "BLK", "FIFO"])
def test_links_and_devices_are_refused(tmp_path, archive, kind):
    path = archive(tmp_path / "a.tar", [("a.png", picture())])
    with tarfile.open(path, "a") as more:
        member = tarfile.TarInfo("b.png")
        member.type, member.linkname = getattr(tarfile, f"{kind}TYPE"), "/etc/passwd"
        more.addfile(member)
    what = {"LNK": "a link", "SYM": "a link", "FIFO": "a pipe"}.get(kind, "a device")
    assert f"has the member b.png, which is {what}" in refusal(path)


@pytest.mark.skipif(shutil.which("gunzip") is None, reason="there is no program gunzip")
@pytest.mark.parametrize("name", ["a b.tar", "a.tar.gz", "a.tgz"])
def test_the_hint_decompresses(tmp_path, archive, name):
    path = archive(tmp_path / "plain.tar", [(f"{i}.png", picture()) for i in range(9)])
    (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError) as raised:
        _ = opened(tmp_path / name).info
    subprocess.run(raised.value.hint.partition(": ")[2], shell=True, check=True, cwd=tmp_path)
    assert {each.suffix for each in tmp_path.iterdir()} == {".tar"}
    assert len(opened(tmp_path / f"{name.split('.')[0]}.tar").everything()) == 9


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_archives_are_refused(tmp_path, archive, mode):
    for name in ("a.tar", f"a.tar.{mode}"):
        place = tmp_path / name.replace(".", "-")
        place.mkdir()
        with tarfile.open(place / name, f"w:{mode}") as packed:
            packed.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
        assert "is compressed" in refusal(place)
        assert "is compressed" in refusal(place / name)


def header(name="a.png", size=0, kind=b"0", **changes):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT)[-512:])
    for place, content in changes.items():
        start = int(place[1:])
        block[start : start + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records):
    lines = b""
    for record in records:
        length = len(record) + 3
        length += len(str(length)) - 1
        lines += b"%d %s\n" % (length, record)
    return header("x", len(lines), b"x") + lines.ljust(512, b"\0")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (header(size=2**40), "ends within a.png"),
        (header(size=2**70), "ends within a.png"),
        (header(kind=b"x", size=2**30), "a name of 1,073,741,824 bytes"),
        (header(kind=b"L", size=2**21), "a name of 2,097,152 bytes"),
        (header(kind=b"S"), "a file with holes"),
        (header(kind=b"V"), "unknown kind"),
        (pax(b"GNU.sparse.major=1") + header(), "holes"),
        (pax(b"size=-512") + header(), "is no size"),
        (pax(b"size=99999999999") + header(), "ends within"),
        (header("x", 9, b"x") + b"99 a=b\n".ljust(512, b"\0") + header(), "damaged"),
        (header("x", 7, b"x") + b"0 a=b\n".ljust(512, b"\0") + header(), "damaged"),
        (header("x", 2000, b"x") + b"4 =\n" * 200, "ends within a name"),
        (header("x", 20, b"g") + b"20 path=all-of-them\n".ljust(512, b"\0") + header(), "for all members"),
        (header(p124=b"\xff" * 12), "is no"),
        (header(p124=b"12345678zzz\0"), "is no"),
        (b"no archive" * 100, "is no tar archive"),
        (header() + b"x" * 600, "is damaged at byte 512"),
        (b"", "has no pictures"),
        (bytes(10240), "has no pictures"),
    ],
)
def test_dishonest_headers(tmp_path, content, problem):
    (tmp_path / "a.tar").write_bytes(content)
    assert problem in refusal(tmp_path / "a.tar")


def test_an_archive_that_is_cut_or_changed_is_read_or_refused(tmp_path, archive):
    path = archive(
        tmp_path / "a.tar", [("a.png", picture()), ("a.cls", b"3"), (f"{'x' * 150}.png", picture())]
    )
    whole = path.read_bytes()
    for length in range(1, len(whole), 193):
        path.write_bytes(whole[:length])
        _tried(path)
    for place in RNG.integers(0, len(whole), 120).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << RNG.integers(8)
        path.write_bytes(changed)
        _tried(path)


def test_many_additions_to_a_header_take_a_time_that_grows_with_their_length():
    """What is copied of 2,000 records is little more than they are."""
    copied = 0

    class Counted(bytes):
        def __getitem__(self, key):
            nonlocal copied
            found = super().__getitem__(key)
            copied += len(found) if isinstance(key, slice) else 0
            return Counted(found) if isinstance(key, slice) else found

        def partition(self, separator):
            nonlocal copied
            copied += len(self)
            return super().partition(separator)

    extra = Counted(b"4 =\n" * 2000)
    assert _records(extra) == {"": ""}
    assert copied < 10 * len(extra)


def test_an_archive_that_cannot_be_read(tmp_path, archive, monkeypatch):
    path = archive(tmp_path / "a.tar", [("a.png", picture())])

    def refused(*given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_tar, "FileIO", refused)
    with pytest.raises(DataError, match="cannot be read: Permission denied") as raised:
        _ = opened(path).info
    assert not raised.value.hint


def _tried(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some damage before it gives up
        with contextlib.suppress(DataError):
            opened(path, size=4).everything().in_memory()


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([("a.png", b"x"), ("a.jpg", b"x")], "two pictures of the key a"),
        ([("a.png", b"x"), ("a.png", b"x")], "two pictures of the key a"),
        ([("a.cls", b"x" * (2**20 + 1))], "a label has at most"),
        ([("a.cls", b"x" * 300)], "300 characters"),
        ([("a.cls", b"")], "0 characters"),
        ([("a.cls", b"\xff")], "names no class"),
        ([("a.cls", b"a\x1b[2J")], "can be printed"),
        ([("a.json", b"[" * 100_000)], "names no class"),
        ([("a.json", b'{"label": 0.5}')], "neither a whole number nor a text"),
        ([("a.json", b'{"label": [1]}')], "neither a whole number nor a text"),
        ([("a.txt", b"x"), (".png", b"x"), ("d/.a.png", b"x"), ("png", b"x")], "has no pictures"),
    ],
)
def test_members_that_do_not_fit(tmp_path, archive, members, problem):
    assert problem in refusal(archive(tmp_path / "a.tar", members))


def test_members_are_not_larger_than_pictures_can_be(tmp_path):
    size = 2**28 + 1
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(header(size=size))
        file.truncate(512 + size + 1023)  # a file with holes, which takes no room
    assert "has 268,435,457 bytes; a picture has at most 268,435,456" in refusal(tmp_path / "a.tar")


@pytest.mark.filterwarnings("ignore:Image size:Warning")
def test_pictures_that_would_take_all_memory(tmp_path, archive):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">2I5B", 9500, 9500, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    assert "at most 67,108,864 are allowed" in refusal(archive(tmp_path / "a.tar", [("a.png", bomb)]))


def test_nothing_is_written(tmp_path, archive):
    path = archive(
        tmp_path / "a.tar", [("../a.png", picture()), ("/tmp/b.png", picture()), ("c.png", picture())]
    )
    before = path.read_bytes()
    assert len(opened(path).everything().in_memory()) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["a.tar"]
    assert path.read_bytes() == before


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    assert "no regular file" in refusal(tmp_path / "pipe.tar")


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refusal(tmp_path) == f"{tmp_path} cannot be read: Permission denied"
