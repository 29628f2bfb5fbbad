"""NumPy files: shapes, types and ranges, and files made to do harm."""

import io
import math
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from genmod.errors import DataError
from genmod.plugins.datasets.npz import Npz
from genmod.registry.lookup import Registry
from genmod.testing import run_checks

SPLITS = ("train", "validation", "test")


@pytest.fixture
def dataset(tmp_path):
    """Arrays → the dataset that reads them."""

    def function(arrays, name="data.npz", **options):
        path = tmp_path / name
        np.savez(path, **arrays)
        return Npz(tmp_path, path=path, **options)

    return function


def refusal(dataset):
    with pytest.raises(DataError) as raised:
        _ = dataset.info
    assert str(dataset.path) in raised.value.message
    return str(raised.value)


def image(n, *shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((5,), "auto", (5,)),
        ((5,), "hwc", (5,)),
        ((6, 5), "auto", (1, 6, 5)),
        ((6, 5), "hwc", (1, 6, 5)),
        ((3, 6, 5), "auto", (3, 6, 5)),
        ((6, 5, 3), "auto", (3, 6, 5)),
        ((6, 5, 1), "auto", (1, 6, 5)),
        ((4, 6, 5), "auto", (4, 6, 5)),
        ((3, 6, 3), "chw", (3, 6, 3)),
        ((3, 6, 3), "hwc", (3, 3, 6)),
        ((7, 6, 5), "chw", (7, 6, 5)),
        ((7, 6, 5), "hwc", (5, 7, 6)),
    ],
)
def test_shapes(dataset, shape, layout, expected):
    x = image(20, *shape)
    data = dataset({"x_train": x, "x_val": x[:3], "x_test": x[:2]}, layout=layout)
    assert data.info.shape == expected
    got = data.split("train").batch.x.numpy()
    moved = len(expected) == 3 and len(shape) == 3 and expected != shape
    assert np.array_equal(got, (x.transpose(0, 3, 1, 2) if moved else x).reshape(got.shape))


@pytest.mark.parametrize("shape", [(20,), (20, 3, 6, 3), (20, 7, 6, 5), (0, 5), (20, 0), (20, 1, 2, 3, 4)])
def test_other_shapes_are_refused(dataset, shape):
    assert str(shape) in refusal(dataset({"x": np.zeros(shape, np.uint8)}))


@pytest.mark.parametrize(
    ("x", "levels", "low", "high"),
    [
        (image(20, 4), 256, 0, 1),
        (image(20, 4) // 128, 2, 0, 1),
        (image(20, 4) > 99, 2, 0, 1),
        (image(20, 4) / 255, None, 0, 1),
        ((image(20, 4) / 255).astype(np.float16), None, 0, 1),
        ((image(20, 4) / 255).astype(">f8"), None, 0, 1),
        (np.asfortranarray(image(20, 4) / 255), None, 0, 1),
        (image(20, 4) / 255 - 0.01, None, -math.inf, math.inf),
        (image(20, 4) * 1.0, None, -math.inf, math.inf),
    ],
)
def test_types_and_ranges(dataset, x, levels, low, high):
    data = dataset({"x": x})
    assert (data.info.levels, data.info.low, data.info.high) == (levels, low, high)
    everything = torch.cat([data.split(name).batch.x for name in SPLITS])
    assert everything.dtype == (torch.uint8 if levels else torch.float32)
    assert sorted(everything.flatten().tolist()) == pytest.approx(
        sorted(x.astype(np.float32).ravel().tolist())
    )


def test_the_range_is_that_of_all_splits(dataset):
    data = dataset({"x_train": np.full((20, 2), 0.5), "x_test": np.full((20, 2), 1.5)})
    assert data.info.high == math.inf


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint16", "complex64", "datetime64[s]", "U3", "S3"])
def test_other_types_are_refused_with_what_to_do(dataset, dtype):
    text = refusal(dataset({"x": image(20, 4).astype(dtype)}))
    assert "allowed are uint8, bool and floats" in text
    assert "astype('uint8')" in text


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_values_that_are_not_finite_are_counted_and_found(dataset, bad):
    x = np.zeros((20, 2, 3))
    x[7, 1, 2] = x[9] = bad
    text = refusal(dataset({"x": x}))
    assert "has 7 values that are NaN" in text
    assert "the first is example 7, at (0, 1, 2)" in text


def test_tenths_of_x_are_for_validation_and_testing(dataset):
    data = dataset({"x": np.arange(100.0)[:, None], "y": np.arange(100) % 5})
    parts = {name: data.split(name).batch for name in SPLITS}
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "validation": 10, "test": 10}
    assert sorted(torch.cat([part.x for part in parts.values()]).flatten().tolist()) == list(range(100))
    # These are the same forever.
    assert parts["validation"].x.flatten().tolist() == [53, 33, 94, 2, 42, 32, 43, 95, 41, 88]
    for part in parts.values():
        assert torch.equal(part.labels, part.x.flatten().long() % 5)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({"train": 50, "validation": 5, "test": 6}, (50, 5, 6)),
        ({"train": 50, "val": 5, "test": 6}, (50, 5, 6)),
        ({"train": 50, "test": 6}, (45, 5, 6)),
        ({"train": 50, "val": 6}, (45, 6, 5)),
        ({"train": 50}, (40, 5, 5)),
        ({"train": 3}, (1, 1, 1)),
    ],
)
def test_splits_that_are_given_are_kept(dataset, given, sizes):
    data = dataset({f"x_{name}": image(n, 4) for name, n in given.items()})
    assert tuple(len(data.split(name)) for name in SPLITS) == sizes


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"images": image(20, 4)}, "has images; either x or x_train"),
        ({}, "has nothing; either"),
        ({"x_test": image(20, 4)}, "either x or x_train"),
        ({"x": image(20, 4), "x_train": image(20, 4)}, "has x, x_train; either"),
        ({"x": image(2, 4)}, "there are 2 training examples"),
        ({"x_train": image(20, 4), "x_test": image(20, 5)}, "(4,) of torch.uint8 for train, (5,)"),
        ({"x_train": image(20, 4), "x_test": np.ones((5, 4))}, "torch.float32 for test"),
        ({"x": image(20, 4), "y": np.zeros(19, int)}, "y has 19 labels; x has 20"),
        ({"x": image(20, 4), "y": np.zeros((20, 2), int)}, "y has 40 labels"),
        ({"x": image(20, 4), "y": np.zeros(20)}, "y of float64"),
        (
            {
                "x_train": image(9, 4),
                "x_val": image(9, 4),
                "y_train": np.arange(9),
                "y_val": np.array(["a"] * 9),
            },
            "y_train of int64, y_val of <U1",
        ),
        ({"x": image(10_001, 1), "y": np.arange(10_001)}, "10,001 different labels"),
    ],
)
def test_arrays_that_do_not_fit(dataset, arrays, problem):
    assert problem in refusal(dataset(arrays))


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([3, 0, 7, 3, 0]), ("0", "3", "7")),
        (np.array([[3], [0], [7], [3], [0]], dtype=">i2"), ("0", "3", "7")),
        (np.array(["b", "a", "ä", "b", "a"]), ("a", "b", "ä")),
        (np.array([1, 0, -1, 1, 0], dtype=np.int8), ("-1", "0", "1")),
    ],
)
def test_labels(dataset, y, classes):
    data = dataset({"x_train": image(5, 4), "y_train": y, "x_val": image(5, 4), "x_test": image(1, 4)})
    assert data.info.classes == classes
    labels = data.split("train").batch.labels
    assert [classes[label] for label in labels.tolist()] == [str(v) for v in y.ravel().tolist()]
    assert data.split("validation").batch.labels is None


def test_tables_are_standardised_by_the_training_data(dataset):
    rng = np.random.default_rng(0)
    x = rng.normal([5, -1000, 0], [0.1, 30, 2], (200, 3))
    x = np.column_stack([x, np.full(200, 7.0)])
    data = dataset({"x_train": x[:150], "x_val": x[150:], "x_test": x[:10] + 3}, standardize=True)
    mean, deviation = x[:150].mean(0), x[:150].std(0)
    deviation[3] = 1
    for name, part in (("train", x[:150]), ("validation", x[150:]), ("test", x[:10] + 3)):
        got = data.split(name).batch.x.numpy()
        np.testing.assert_allclose(got, (part - mean) / deviation, rtol=1e-3, atol=1e-4)
    assert (data.info.low, data.info.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("x", [image(20, 4), image(20, 6, 5) / 255])
def test_only_tables_of_floats_are_standardised(dataset, x):
    assert "only tables of floats" in refusal(dataset({"x": x}, standardize=True))


def test_a_single_array_without_an_archive(tmp_path):
    x = image(30, 6, 5)
    np.save(tmp_path / "x.npy", x)
    data = Npz(tmp_path, path=Path("x.npy"))
    assert data.info.shape == (1, 6, 5)
    assert sum(len(data.split(name)) for name in SPLITS) == 30


def write_member(path, content, *, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", content)


def npy_bytes(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(shape, descr="|u1", version=(1, 0)):
    buffer = io.BytesIO()
    fields = {"shape": shape, "fortran_order": False, "descr": descr}
    (np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0)(
        buffer, fields
    )
    return buffer.getvalue()


@pytest.mark.slow
def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    write_member(path, header((300_000_000,)) + bytes(300_000_000))
    assert path.stat().st_size < 1_000_000
    data = Npz(tmp_path, path=path, max_bytes=100_000_000)
    tracemalloc.start()
    text = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "300,000,000 bytes in memory; max_bytes allows 100,000,000" in text
    assert "-s dataset.max_bytes=300000000" in text
    assert peak < 5_000_000


def test_the_limit_counts_all_arrays_that_are_read(dataset):
    arrays = {"x_train": image(20, 4), "x_test": image(20, 4), "unused": image(20, 400)}
    assert dataset(arrays, max_bytes=160).info.shape == (4,)
    assert "160 bytes" in refusal(dataset(arrays, max_bytes=159))


@pytest.mark.parametrize(
    "content",
    [
        header((10, 4)) + bytes(39),
        header((10, 4)) + bytes(41),
        header((2**40, 2**40)) + bytes(40),
        header((2**62, 0, 2**62)),
        header((-10, -4)) + bytes(40),
        header((10, 4), "|O") + bytes(320),
        header((2**60,), "<U0"),
        header((2**60,), "|V0"),
        header((10, 4), [("a", "u1"), ("b", "u1")]) + bytes(80),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        b"\x93NUMPY\x01\x00\x10\x00" + b"__import__('os')" + bytes(10),
        b"rubbish",
        b"",
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_headers_that_lie(tmp_path, content, packed):
    path = tmp_path / ("x.npz" if packed else "x.npy")
    if packed:
        write_member(path, content)
    else:
        path.write_bytes(content)
    tracemalloc.start()
    assert "cannot be read as .npz or .npy" in refusal(Npz(tmp_path, path=path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_pickles_are_not_loaded(tmp_path, name):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = tmp_path / name
    content = npy_bytes(np.array([Evil()] * 10, dtype=object), allow_pickle=True)
    if name == "x.npz":
        write_member(path, content)
    else:
        path.write_bytes(content)
    assert "holds object" in refusal(Npz(tmp_path, path=path))
    path.write_bytes(pickle.dumps(Evil()))
    assert "cannot be read" in refusal(Npz(tmp_path, path=path))


def test_second_version_of_the_format(tmp_path):
    write_member(tmp_path / "x.npz", header((10, 4), version=(2, 0)) + image(10, 4).tobytes())
    assert Npz(tmp_path, path=Path("x.npz")).info.shape == (4,)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
)
def test_every_changed_or_missing_byte_is_found_or_harmless(tmp_path, method):
    path = tmp_path / "x.npz"
    x = image(10, 4)
    write_member(path, npy_bytes(x), method=method)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    changed = []
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= int(rng.integers(1, 256))
        changed.append(bytes(content))
    for content in [*changed, *(whole[:length] for length in range(0, len(whole), 3))]:
        path.write_bytes(content)
        data = Npz(tmp_path, path=path)
        try:
            parts = torch.cat([data.split(name).batch.x for name in SPLITS])
        except DataError:
            continue
        assert sorted(map(bytes, parts.numpy())) == sorted(map(bytes, x))


def test_missing_files(tmp_path):
    assert "there is no" in refusal(Npz(tmp_path, path=tmp_path / "nothing.npz"))
    assert "directory" in refusal(Npz(tmp_path, path=tmp_path))


def test_missing_values_are_nan(dataset):
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    x[::4, 1] = np.nan
    data = dataset({"x_train": x[:12], "x_val": x[12:16], "x_test": x[16:]}, missing=True)
    assert data.info.missing
    found = data.split("train").batch.x
    assert torch.equal(found.isnan(), torch.from_numpy(x[:12]).isnan())
    assert torch.equal(found.nan_to_num(), torch.from_numpy(x[:12]).nan_to_num())


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32, np.int32])
def test_a_mask_tells_what_was_observed(dataset, dtype):
    rng = np.random.default_rng(0)
    x = (rng.random((30, 8, 8)) * 200).astype(dtype)
    mask = rng.random(x.shape) < 0.5
    data = dataset({"x_train": x, "mask_train": mask}, missing=True, counts=dtype == np.int32)
    found = torch.cat([data.split(name).batch.x for name in ("train", "validation", "test")])
    assert found.isnan().sum() == (~mask).sum()
    assert found.dtype == torch.float32
    if dtype == np.uint8:
        assert data.info.levels == 256
        assert found[~found.isnan()].max() <= 1


def test_standardised_by_what_was_observed(dataset):
    x = np.random.default_rng(0).normal(5, 3, (200, 2)).astype(np.float32)
    x[::3, 0] = np.nan
    found = dataset({"x_train": x, "x_val": x[:5], "x_test": x[5:9]}, missing=True, standardize=True)
    column = found.split("train").batch.x[:, 0]
    seen = column[~column.isnan()]
    torch.testing.assert_close(seen.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["floats", "levels", "counts"])
def test_the_kit_accepts_missing_values(tmp_path, kind):
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(90, 4)).astype(np.float32)}
    if kind == "levels":
        arrays = {"x": rng.integers(0, 256, (90, 1, 5, 5)).astype(np.uint8)}
        arrays["mask"] = rng.random((90, 1, 5, 5)) < 0.8
    else:
        arrays["x"] = rng.poisson(3, (90, 4)).astype(np.float32) if kind == "counts" else arrays["x"]
        arrays["x"][rng.random((90, 4)) < 0.2] = np.nan
    np.savez(tmp_path / "gaps.npz", **arrays)
    options = {
        "dataset.path": tmp_path / "gaps.npz",
        "dataset.missing": True,
        "dataset.counts": kind == "counts",
    }
    checks = [
        "check_examples",
        "check_labels",
        "check_splits",
        "check_fixed",
        "check_indices",
        "check_everything",
    ]
    report = run_checks("dataset/npz", options=options, registry=Registry(third_party=False), only=checks)
    assert [outcome.status for outcome in report.checks] == ["passed"] * len(checks), report.failed


def test_infinite_values_are_no_missing_ones(dataset):
    x = np.zeros((20, 3), dtype=np.float32)
    x[3, 1] = np.inf
    assert "1 values that are NaN, infinite" in refusal(dataset({"x": x}, missing=True))


def test_a_mask_of_another_shape_is_refused(dataset):
    arrays = {"x": np.zeros((20, 3), dtype=np.float32), "mask": np.ones((20, 2), dtype=bool)}
    assert "mask is (20, 2) of bool; allowed is (20, 3)" in refusal(dataset(arrays, missing=True))


def test_further_arrays_are_factors(dataset):
    kinds = np.array(["b", "a", "c"])[np.arange(30) % 3]
    x = np.arange(60, dtype=np.float32).reshape(30, 2)
    data = dataset({"x": x, "kind": kinds, "year": 1990 + np.arange(30) % 2}, factors=("kind", "year"))
    assert [(f.name, f.size, f.values) for f in data.info.factors] == [
        ("kind", 3, ("a", "b", "c")),
        ("year", 2, ("1990", "1991")),
    ]
    batch = data.split("train").batch
    rows = (batch.x[:, 0] / 2).long().tolist()
    assert batch.factors[:, 0].tolist() == ["abc".index(kinds[i]) for i in rows]
    assert "no array size" in refusal(dataset({"x": x}, factors=("size",)))
