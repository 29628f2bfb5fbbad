"""Tables in files: what the cells of CSV are, and that each format gives back what it was given."""

import datetime as dt
import gzip
from contextlib import suppress

import pyarrow
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet
import pytest

from genmod import DataError, UsageError
from genmod.data.table import FrameDataset
from genmod.data.table_files import read_table, write_table

TEXT = """id,zip,age,income,when,at,note,flag,code
1,01234,31,1200.50,2020-01-31,2020-01-31 08:00:00,"a, b",True,12345678901234567890
2,99999,,3.5e2,2020-02-29,2020-02-29 09:30:00,NA,False,12345678901234567891
3,00501,42,?,2021-01-01,2021-01-01 00:00:01,"line
two",True,12345678901234567892
"""


def test_cells_of_csv(tmp_path):
    (tmp_path / "t.csv").write_text(TEXT)
    table = read_table(tmp_path / "t.csv")
    assert {name: str(table[name].type) for name in table.column_names} == {
        "id": "int64",
        "zip": "string",
        "age": "int64",
        "income": "double",
        "when": "date32[day]",
        "at": "timestamp[s]",
        "note": "string",
        "flag": "string",
        "code": "string",
    }
    assert table["zip"].to_pylist() == ["01234", "99999", "00501"]
    assert table["age"].to_pylist() == [31, None, 42]
    assert table["income"].to_pylist() == [1200.5, 350.0, None]
    assert table["note"].to_pylist() == ["a, b", None, "line\ntwo"]
    assert table["at"].to_pylist()[2] == dt.datetime(2021, 1, 1, 0, 0, 1)
    assert read_table(tmp_path / "t.csv", texts={"age"})["age"].to_pylist() == ["31", None, "42"]


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "t.csv"), ("\t", "t.csv"), ("|", "t.csv"), ("\t", "t.tsv")]
)
def test_the_delimiter_is_found(tmp_path, delimiter, name):
    (tmp_path / name).write_text(f"a{delimiter}b\n1,5{delimiter}x\n2,5{delimiter}y\n")
    assert read_table(tmp_path / name).column_names == ["a", "b"]


def test_packed_and_with_a_byte_order_mark(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfa,b\n1,2\n"))
    assert read_table(tmp_path / "t.csv.gz").to_pydict() == {"a": [1], "b": [2]}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.feather", "t.arrow", "t.jsonl"])
def test_what_is_written_is_read(tmp_path, name):
    (tmp_path / "given.csv").write_text(TEXT)
    table = read_table(tmp_path / "given.csv")
    write_table(table, tmp_path / name)
    back = read_table(tmp_path / name)
    assert back.column_names == table.column_names
    exact = table.to_pydict()
    if name == "t.jsonl":
        # JSON has no dates; what reads them as times has the same ones.
        exact["when"] = [dt.datetime.combine(day, dt.time()) for day in exact["when"]]
    assert back.to_pydict() == exact


def test_csv_comes_back_letter_by_letter(tmp_path):
    text = "a,b b,when,at\n1,x,2020-01-31,2020-01-31 08:00:00\n2,,2020-02-01,2020-02-01 08:00:00\n"
    (tmp_path / "a.csv").write_text(text)
    write_table(read_table(tmp_path / "a.csv"), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,a\n1,2\n", "several columns named 'a'"),
        (b"1.5,2\n1,2\n", "no names of columns"),
        (b"", "no names of columns"),
        (b"a,b\n1,2,3\n", "cannot be read"),
        (b"a,b\n\xff\xfe,2\n", "cannot be read"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv")


def test_other_endings_and_sizes(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(UsageError, match="no table by its ending"):
        read_table(tmp_path / "t.xlsx")
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="at most 3 are read"):
        read_table(tmp_path / "t.csv", max_bytes=3)
    for name in ("t.parquet", "t.feather", "t.jsonl"):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(DataError, match="cannot be read"):
            read_table(tmp_path / name)


def splits(how, **columns):
    data = FrameDataset(pyarrow.table({"x": [float(i) ** 1.5 for i in range(60)], **columns}), split=how)
    return {name: data.places(name).tolist() for name in ("train", "validation", "test")}


def test_splits_by_row_are_disjoint_whole_and_fixed():
    rows = splits("row")
    assert sorted(row for part in rows.values() for row in part) == list(range(60))
    assert [len(part) for part in rows.values()] == [48, 6, 6]
    assert rows["test"] == [4, 6, 41, 49, 52, 56]


def test_splits_by_a_column():
    rows = splits("column:part", part=["Train"] * 40 + ["val"] * 5 + ["TEST"] * 15)
    assert rows == {"train": list(range(40)), "validation": list(range(40, 45)), "test": list(range(45, 60))}
    with pytest.raises(DataError, match="'part' says 'hold-out'"):
        splits("column:part", part=["train"] * 59 + ["hold-out"])


def test_no_group_is_in_two_splits():
    groups = [f"g{i * i % 17}" for i in range(60)]
    rows = splits("group:who", who=groups)
    parts = [{groups[i] for i in part} for part in rows.values()]
    assert all(parts)
    assert sum(map(len, parts)) == len(set(groups)) == len(set.union(*parts))


def test_later_rows_are_for_testing_and_equal_times_stay_together():
    times = [dt.date(2020, 1, 1) + dt.timedelta(days=(i * 7 % 60) // 2) for i in range(60)]
    rows = splits("time:day", day=times)
    found = [[times[i] for i in rows[name]] for name in ("train", "validation", "test")]
    assert max(found[0]) < min(found[1]) <= max(found[1]) < min(found[2])
    assert [len(part) for part in found] == [48, 6, 6]
    with pytest.raises(DataError, match="no row is left for train"):
        splits("time:day", day=[1] * 30 + [2] * 30)
    with pytest.raises(UsageError, match="it is row, column:NAME, group:NAME or time:NAME"):
        splits("week:day")


def test_small_files_that_are_large_inside_are_refused(tmp_path):
    table = pyarrow.table({"a": pyarrow.array([7] * 100_000, pyarrow.int64())})
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n" + b"7\n" * 100_000))
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "t.feather", compression="zstd")
    for path in sorted(tmp_path.iterdir()):
        assert path.stat().st_size < 50_000
        with pytest.raises(DataError, match="takes more than 100,000 bytes"):
            read_table(path, max_bytes=100_000)
        assert len(read_table(path, max_bytes=10**6)) == 100_000


def bombs(folder):
    """Files of a few thousand bytes with a table of up to a hundred million."""
    again = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 300, pyarrow.int8()), pyarrow.array(["a" * 2**19])
    )
    pyarrow.parquet.write_table(
        pyarrow.table({"a": again}), folder / "again.parquet", compression="zstd", store_schema=False
    )
    pyarrow.parquet.write_table(pyarrow.table({"a": again}), folder / "classes.parquet", compression="zstd")
    pyarrow.feather.write_feather(pyarrow.table({"a": again}), folder / "classes.feather", compression="zstd")
    lists = pyarrow.array([[7] * 200_000], pyarrow.list_(pyarrow.int64()))
    pyarrow.parquet.write_table(pyarrow.table({"a": lists}), folder / "list.parquet", compression="zstd")
    zeros = pyarrow.table({"a": pyarrow.array([0] * 200_000)})
    pyarrow.feather.write_feather(zeros, folder / "zeros.feather", compression="zstd", chunksize=200_000)
    (folder / "names.jsonl").write_text("".join(f'{{"{i:x}": 1}}\n' for i in range(2000)))
    return sorted(folder.iterdir())


def test_tables_are_measured_before_they_are_read(tmp_path, monkeypatch):
    for module, name in ((pyarrow.parquet, "read_table"), (pyarrow.json, "read_json")):
        monkeypatch.setattr(module, name, None)
    before = pyarrow.total_allocated_bytes()
    for path in bombs(tmp_path):
        assert path.stat().st_size < 40_000
        with pytest.raises(DataError, match="takes more than 1,000,000 bytes"):
            read_table(path, max_bytes=10**6)
    assert pyarrow.total_allocated_bytes() < before + 2**23


def test_tables_that_are_measured_are_read_as_they_were(tmp_path):
    kinds = pyarrow.array(["x", None, "y"] * 50).dictionary_encode()
    table = pyarrow.table(
        {"kind": kinds, "text": ["a", "b", None] * 50, "list": [[1], [], None] * 50, "n": [1.5] * 150}
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=40)
    for name in ("none", "lz4", "zstd"):
        compression = {"none": "uncompressed"}.get(name, name)
        pyarrow.feather.write_feather(
            table, tmp_path / f"{name}.feather", compression=compression, chunksize=40
        )
    for path in sorted(tmp_path.iterdir()):
        found = read_table(path)
        assert found.schema.equals(table.schema)
        assert found.to_pydict() == table.to_pydict()
    (tmp_path / "a.jsonl").write_text('{"a \\" b": {"c": 1}}\n' * 9)
    assert read_table(tmp_path / "a.jsonl", max_bytes=200).column_names == ['a " b']
    content = (tmp_path / "zstd.feather").read_bytes()
    for place in (12, 40, 100, 400, len(content) - 300, len(content) - 40):
        (tmp_path / "damaged.feather").write_bytes(content[:place] + b"\xff\x7f" * 8 + content[place + 16 :])
        with suppress(DataError):
            read_table(tmp_path / "damaged.feather")
