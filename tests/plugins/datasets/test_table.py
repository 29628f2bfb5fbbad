"""Tables of one's own: kinds, options, and what another file must have."""

import math

import numpy as np
import pyarrow
import pytest
import torch

from genmod import DataError, DataInfo, UsageError, compose
from genmod.model.assembly import open_dataset
from genmod.plugins.datasets.table import Table
from genmod.testing import CHECKS, run_checks

KINDS = {
    "region": "category",
    "job": "category",
    "zip": "category",
    "owner": "binary",
    "urban": "binary",
    "visits": "count",
    "claims": "count",
    "height": "real",
    "score": "real",
    "income": "positive",
    "joined": "date",
    "country": "constant",
}


@pytest.fixture(
    params=[pytest.param(0.0, marks=pytest.mark.slow, id="complete"), pytest.param(0.3, id="with gaps")]
)
def people(request, known, tmp_path):
    known.write_known_table(tmp_path / "people.csv", 1500, seed=4, missing=request.param)
    return tmp_path / "people.csv"


def test_kinds_of_the_known_table(people, known):
    info = Table(people.parent, path=people).info
    assert {column.name: column.kind for column in info.columns} == KINDS
    assert info.shape == (11,)
    assert info.missing == any(column.missing for column in info.columns)
    by_name = {column.name: column for column in info.columns}
    assert by_name["zip"].dtype == "String"
    assert set(by_name["region"].values) == set(known.REGIONS)
    assert by_name["score"].modes == 2
    assert by_name["height"].modes == by_name["income"].modes == 1
    assert by_name["height"].step == 0.01
    assert by_name["country"].values == ("CH",)
    assert DataInfo.from_json(info.to_json()) == info


def test_numbers_are_standardised_by_the_training_rows_and_codes_never(people):
    data = Table(people.parent, path=people)
    x = data.split("train").batch.x
    for place, column in enumerate(data.info.modelled):
        values = x[:, place][~x[:, place].isnan()].double()
        if column.scaled:
            assert values.mean().abs() < 1e-5
            assert values.square().mean().sqrt() == pytest.approx(1, abs=1e-5)
        else:
            assert torch.equal(values, values.round())
            assert (data.info.shift[place], data.info.scale[place]) == (0, 1)


def test_the_kit_accepts_it(people, monkeypatch):
    checks = [check for check in CHECKS if check.name != "check_process"]
    monkeypatch.setattr("genmod.testing.prepare.CHECKS", checks)
    options = {"dataset.path": str(people), "dataset.split": "group:zip"}
    report = run_checks("dataset/table", options=options, root=people.parent)
    assert not report.skipped
    assert not report.failed, report.failed


def write(path, **columns):
    from pyarrow import csv

    csv.write_csv(pyarrow.table(columns), path)
    return path


def opened(path, known=None, **options):
    spec = compose(components={"dataset": {"name": "table", "path": str(path), **options}, "encoder": "mlp"})
    return open_dataset(spec, path.parent, info=known)


@pytest.fixture
def small(tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.integers(18, 80, 90),
        "pay": np.round(rng.normal(50, 9, 90), 1),
        "city": [["Rom", "Bern", "Genf"][i % 3] for i in range(90)],
        "who": [f"p{i // 3}" for i in range(90)],
    }
    return write(tmp_path / "small.csv", **columns), columns


def test_options(small):
    path, columns = small
    info = opened(path, kinds={"age": "count"}, drop=["who"]).info
    assert [(column.name, column.kind) for column in info.columns] == [
        ("age", "count"),
        ("pay", "real"),
        ("city", "category"),
    ]
    data = opened(path, label="city", factors=["who"])
    assert data.info.classes == ("Bern", "Genf", "Rom")
    assert [factor.name for factor in data.info.factors] == ["who"]
    assert [column.name for column in data.info.modelled] == ["age", "pay"]
    rows = data.places("test").tolist()
    batch = data.split("test").batch
    assert [data.info.classes[k] for k in batch.labels] == [columns["city"][i] for i in rows]
    assert [data.info.factors[0].names[k] for k in batch.factors[:, 0]] == [columns["who"][i] for i in rows]
    grouped = opened(path, split="group:who").info
    assert [column.kind for column in grouped.columns] == ["whole", "real", "category", "identifier"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": {"ages": "count"}}, "no column 'ages'"),
        ({"kinds": {"city": "real"}}, "'city' cannot be real: it holds values of the type String"),
        ({"kinds": {"pay": "count"}}, "'pay' cannot be count: it has values that are no whole numbers"),
        ({"kinds": {"city": "binary"}}, "'city' cannot be binary: it has 3 different values"),
        ({"label": "town"}, "no column 'town'"),
        ({"drop": ["age", "pay", "city", "who"]}, "no column is left"),
        ({"split": "group:town"}, "no column 'town' to split it by"),
    ],
)
def test_options_that_do_not_suit_the_file(small, options, message):
    with pytest.raises(DataError, match=message):
        _ = opened(small[0], **options).info


def test_a_mistake_in_a_kind_is_one_of_options(small):
    with pytest.raises(UsageError, match=r"kinds\.age"):
        opened(small[0], kinds={"age": "number"})


def test_another_file_is_read_by_the_model(small, tmp_path):
    path, _ = small
    info = opened(path).info
    other = write(
        tmp_path / "other.csv",
        who=["new"] * 4,
        city=["Rom", "Bern", "Rom", "Rom"],
        pay=[50.0, 51.0, 52.0, 53.0],
        age=[30, 31, 32, 33],
    )
    # Names of persons are categories here, and a new one is none of them.
    with pytest.raises(DataError, match=r"'who' has values that training did not have: 'new', in 4 rows"):
        _ = opened(other, info).info
    info = opened(path, drop=["who"]).info
    data = opened(other, info, drop=["who"])
    assert data.info == info
    x = data.everything().batch.x
    mean, scale = info.shift[1], info.scale[1]
    assert x[:, 1].tolist() == pytest.approx([(pay - mean) / scale for pay in (50, 51, 52, 53)], abs=1e-5)
    assert x[:, 2].tolist() == [2, 0, 2, 2]
    (tmp_path / "gap.csv").write_text("age,pay,city\n30,,Rom\n31,2,Rom\n32,3,Bern\n")
    with pytest.raises(
        DataError, match=r"gap.csv: cells are missing in column 'pay' \(1 rows, the first is 1\)"
    ):
        _ = opened(tmp_path / "gap.csv", info).info
    open_to_gaps = opened(path, drop=["who"], missing=True).info
    assert math.isnan(opened(tmp_path / "gap.csv", open_to_gaps).everything().batch.x[0, 1])


def test_columns_of_digits_are_texts_where_training_had_texts(tmp_path):
    rng = np.random.default_rng(0)
    codes = [["0100", "2000", "3000"][i % 3] for i in range(60)]
    path = write(tmp_path / "a.csv", code=codes, x=rng.normal(size=60))
    info = opened(path).info
    other = write(tmp_path / "b.csv", code=pyarrow.array([2000, 3000, 2000]), x=[0.0, 1.0, 2.0])
    assert opened(other, info).everything().batch.x[:, 0].tolist() == [1, 2, 1]


def test_data_of_another_table_do_not_suit(small, tmp_path):
    """A dataset that was opened by itself has other categories and statistics."""
    from genmod.data.suited import suited

    info = opened(small[0]).info
    rng = np.random.default_rng(1)
    others = {
        "age": rng.integers(18, 80, 60),
        "pay": rng.normal(size=60),
        "city": ["Rom", "Paris"] * 30,
        "who": [f"p{i // 3}" for i in range(60)],
    }
    data = opened(write(tmp_path / "other.csv", **others))
    with pytest.raises(DataError, match="column 'city' has other categories"):
        suited(data, info)
    rows = np.random.default_rng(0).normal(size=(60, 4))
    np.savez(tmp_path / "x.npz", x=rows)
    plain = compose(
        components={"dataset": {"name": "npz", "path": str(tmp_path / "x.npz")}, "encoder": "mlp"}
    )
    with pytest.raises(DataError, match="built for a table with the columns 'age', 'pay'"):
        open_dataset(plain, tmp_path, info=info)


def test_stored_codes_and_counts_are_checked(small):
    from genmod.data.suited import check_values

    info = opened(small[0], kinds={"age": "count"}, drop=["who"]).info
    good = torch.tensor([[30.0, 0.1, 2.0]])
    check_values(good, info)
    for bad, message in (
        ([30.5, 0.1, 2.0], "'age' has 30.5"),
        ([-1.0, 0.1, 2.0], "'age' has -1"),
        ([30.0, 0.1, 3.0], "'city' has 3 in row 1; it holds 0 to 2"),
        ([30.0, math.nan, 2.0], "1 values are NaN or infinite, in column 'pay'"),
    ):
        with pytest.raises(DataError, match=message):
            check_values(torch.tensor([bad]), info)
    with pytest.raises(DataError, match=r"NaN or infinite, in column 1, 2, counted from 0"):
        check_values(torch.tensor([[0.0, math.nan, math.inf]]), DataInfo((3,), -math.inf, math.inf))
