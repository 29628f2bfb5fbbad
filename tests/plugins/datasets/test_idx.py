"""IDX files: intact ones in every wrapping, and each way in which one can be broken."""

import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from genmod.errors import DataError
from genmod.plugins.datasets._idx import read_idx

SHAPE = (3, 4, 5)
ARRAY = np.arange(60, dtype=np.uint8).reshape(SHAPE)
HEADER = struct.pack(">4B3I", 0, 0, 8, 3, *SHAPE)
CONTENT = HEADER + ARRAY.tobytes()
CRC = zlib.crc32(CONTENT)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "images-idx3-ubyte"
        path.write_bytes(content)
        return path

    return write


def refusal(path, shape=SHAPE, crc32=CRC):
    with pytest.raises(DataError) as raised:
        read_idx(path, shape, crc32=crc32)
    assert str(path) in raised.value.message
    assert raised.value.hint
    return raised.value.message


@pytest.mark.parametrize(
    "wrap", [bytes, gzip.compress, lambda c: gzip.compress(c[:30], mtime=0) + gzip.compress(c[30:])]
)
def test_intact_files(file, wrap):
    x = read_idx(file(wrap(CONTENT)), SHAPE, crc32=CRC)
    assert x.shape == SHAPE
    assert np.array_equal(x.numpy(), ARRAY)
    x += 1  # the memory is our own


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_every_truncation_is_found(file, wrap):
    whole = wrap(CONTENT)
    for length in range(len(whole)):
        assert refusal(file(whole[:length])), length


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_every_changed_byte_is_found_or_harmless(file, wrap):
    whole = bytearray(wrap(CONTENT))
    found = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        try:
            x = read_idx(file(changed), SHAPE, crc32=CRC)
        except DataError:
            found += 1
        else:
            assert np.array_equal(x.numpy(), ARRAY)
    # Of a gzip header only the time, the flags and the system may be anything.
    assert found >= len(whole) - (10 if wrap is gzip.compress else 0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "starts with the bytes"),
        (b"\x00\x00\x0d\x03" + CONTENT[4:], "00 00 0d 03"),
        (b"\x00\x00\x08\x01" + CONTENT[4:], "00 00 08 01"),
        (b"\x89PNG" + CONTENT, "89 50 4e 47"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 3, 4, 6) + bytes(72), "shape (3, 4, 6)"),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "shape (4294967295, 4294967295, 4294967295)"),
        (CONTENT[:-1], "truncated: 75 of 76 bytes"),
        (CONTENT + b"\x00", "goes on after its 76 bytes"),
        (CONTENT[:-1] + b"\x00", f"not {CRC:08x}"),
        (gzip.compress(CONTENT, mtime=0) + b"rubbish", "cannot be read"),
        (b"\x1f\x8brubbish", "cannot be read"),
    ],
)
def test_the_problem_is_named(file, content, problem):
    assert problem in refusal(file(content))


def test_content_is_not_checked_without_a_checksum(file):
    assert int(read_idx(file(CONTENT[:-1] + b"\x00"), SHAPE)[-1, -1, -1]) == 0


def test_missing_files_and_folders(tmp_path):
    assert "No such file" in refusal(tmp_path / "nothing")
    assert "directory" in refusal(tmp_path)


def test_a_bomb_is_not_unpacked(file):
    path = file(gzip.compress(CONTENT + bytes(200_000_000), compresslevel=1, mtime=0))
    tracemalloc.start()
    assert "goes on" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
