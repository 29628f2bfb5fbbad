"""Files with a row for each example, written block by block."""

import csv
import zipfile

import h5py
import numpy as np
import pandas
import pyarrow.parquet
import pytest

from genmod import FileError, UsageError
from genmod.data.rows_out import WRITERS, Layout, rows_out

VALUES = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32) * np.float32([1e-20, 1e10])
NUMBERS = np.arange(7)[:, None] * 10**12
COLUMNS = {"means": ["a", "b"], "codes": ["k"]}
ODD = ["plain", 'a "quoted", one', "ein\nUmbruch", "ümläut", "=1+1", "", "last"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A file of cells, which one of the formats needs."""
    path = tmp_path_factory.mktemp("source") / "cells.h5ad"
    with h5py.File(path, "w") as file:
        file["obs/_index"] = [f"cell{i}" for i in range(7)]
    return path


def written(path, labels=range(7), step=3, arrays=None, source=None):
    arrays = arrays or {"means": VALUES, "codes": NUMBERS}
    with rows_out(path, Layout({name: COLUMNS[name] for name in arrays}, labels, source)) as writer:
        for start in range(0, 7, step):
            writer.write({name: array[start : start + step] for name, array in arrays.items()})
    return path


@pytest.mark.parametrize("step", [1, 3, 7])
def test_whatever_the_blocks_it_is_the_same_file(tmp_path, step, source):
    for suffix in WRITERS:
        arrays = {"means": VALUES} if suffix == ".npy" else None
        one = written(tmp_path / f"one{suffix}", step=7, arrays=arrays, source=source)
        other = written(tmp_path / f"other{suffix}", step=step, arrays=arrays, source=source)
        assert one.read_bytes() == other.read_bytes(), suffix
    assert len(list(tmp_path.iterdir())) == 2 * len(WRITERS)


def test_arrays(tmp_path):
    assert np.array_equal(np.load(written(tmp_path / "x.npy", arrays={"means": VALUES})), VALUES)
    with np.load(written(tmp_path / "x.npz"), allow_pickle=False) as file:
        assert {name: file[name].dtype.str for name in file} == {
            "index": "<i8",
            "means": "<f4",
            "codes": "<i8",
        }
        assert np.array_equal(file["means"], VALUES)
        assert np.array_equal(file["codes"], NUMBERS)
        assert file["index"].tolist() == [*range(7)]
    assert zipfile.ZipFile(tmp_path / "x.npz").testzip() is None
    with np.load(written(tmp_path / "n.npz", ODD), allow_pickle=False) as file:
        assert file["name"].tolist() == ODD


def test_tables_give_every_float_back_exactly(tmp_path):
    with written(tmp_path / "x.csv", ODD).open(newline="", encoding="utf-8") as lines:
        head, *rows = csv.reader(lines)
    assert head == ["name", "a", "b", "k"]
    assert [row[0] for row in rows] == ODD
    assert np.array_equal(np.float32([row[1:3] for row in rows]), VALUES)
    assert [int(row[3]) for row in rows] == NUMBERS[:, 0].tolist()
    table = pyarrow.parquet.read_table(written(tmp_path / "x.parquet", ODD))
    assert [str(field.type) for field in table.schema] == ["string", "float", "float", "int64"]
    assert table["name"].to_pylist() == ODD
    assert np.array_equal(table.to_pandas()[["a", "b"]].to_numpy(), VALUES)
    frame = pandas.read_csv(written(tmp_path / "i.csv"))
    assert frame["index"].tolist() == [*range(7)]


def test_rows_of_parquet_come_in_large_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("genmod.data.rows_out._GROUP", 4)
    file = pyarrow.parquet.ParquetFile(written(tmp_path / "x.parquet", step=2))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 3]


@pytest.mark.parametrize("suffix", WRITERS)
def test_after_an_error_nothing_is_left_and_the_old_file_is_there(tmp_path, suffix, source):
    path = tmp_path / f"x{suffix}"
    path.write_text("old")

    def fail():
        with rows_out(path, Layout({"means": ["a", "b"]}, range(7), source)) as writer:
            writer.write({"means": VALUES[:3]})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_what_is_refused(tmp_path):
    with (
        pytest.raises(UsageError, match="holds one array"),
        rows_out(tmp_path / "x.npy", Layout(COLUMNS, [])),
    ):
        pass
    with pytest.raises(UsageError, match="no known format"), rows_out(tmp_path / "x.xls", Layout({}, [])):
        pass
    with (
        pytest.raises(FileError, match="cannot be written"),
        rows_out(tmp_path / "no" / "x.csv", Layout({}, [])),
    ):
        pass
