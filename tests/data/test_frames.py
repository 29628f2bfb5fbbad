"""Tables: from DataFrames of any package to values and back, and what is refused by name."""

import datetime as dt
import math

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from genmod import DataError, DataInfo
from genmod.data.frames import log_jacobian, to_frame, to_values
from genmod.data.table import FrameDataset

N = 40
RNG = np.random.default_rng(3)


def arrow(**changed):
    """Every type that a column can have, with and without missing cells."""
    rng = np.random.default_rng(3)
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=7 * i) for i in range(N)]
    instants = [dt.datetime(2021, 3, 4, 5, 6, 7) + dt.timedelta(hours=i) for i in range(N)]
    columns = {
        "flag": pyarrow.array([i % 3 == 0 for i in range(N)]),
        "maybe": pyarrow.array([None if i % 5 == 0 else i % 2 == 0 for i in range(N)]),
        "city": pyarrow.array([["Rom", "Bern", "Genève", None][i % 4] for i in range(N)]),
        "zip": pyarrow.array([f"0{1000 + i % 7}" for i in range(N)]),
        "small": pyarrow.array([None if i == 3 else (i % 11) - 5 for i in range(N)], pyarrow.int8()),
        "large": pyarrow.array([20_000_001 + i * 3 for i in range(N)], pyarrow.int64()),
        "unsigned": pyarrow.array([i * i for i in range(N)], pyarrow.uint32()),
        "price": pyarrow.array(np.exp(rng.normal(size=N) * 1.5)),
        "height": pyarrow.array([None if i == 9 else float(v) for i, v in enumerate(rng.normal(170, 9, N))]),
        "single": pyarrow.array(rng.normal(size=N).astype(np.float32)),
        "level": pyarrow.array([["low", "mid", "high"][i % 3] for i in range(N)]).cast(
            pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        ),
        "day": pyarrow.array(days),
        "instant": pyarrow.array(instants, pyarrow.timestamp("us")),
        "zoned": pyarrow.array(instants, pyarrow.timestamp("ms", "UTC")).cast(
            pyarrow.timestamp("ms", "Europe/Zurich")
        ),
        "lasting": pyarrow.array([i * 60 for i in range(N)], pyarrow.duration("s")),
        "always": pyarrow.array(["x"] * N),
        "empty": pyarrow.nulls(N),
        "name": pyarrow.array([f"person {i}" for i in range(N)]),
    }
    return pyarrow.table({**columns, **changed})


KINDS = {
    "flag": "binary",
    "maybe": "binary",
    "city": "category",
    "zip": "category",
    "small": "whole",
    "large": "whole",
    "unsigned": "count",
    "price": "positive",
    "height": "real",
    "single": "real",
    "level": "category",
    "day": "date",
    "instant": "date",
    "zoned": "date",
    "lasting": "date",
    "always": "constant",
    "empty": "constant",
    "name": "identifier",
}


def native(kind):
    if kind == "pandas":
        return arrow().to_pandas()
    if kind == "nullable":
        return arrow().to_pandas(types_mapper=pandas.ArrowDtype)
    return polars.from_arrow(arrow()) if kind == "polars" else arrow()


INFO = FrameDataset(arrow()).info


def test_kinds_are_found():
    info = INFO
    assert {column.name: column.kind for column in info.columns} == KINDS
    assert info.shape == (sum(kind not in ("constant", "identifier") for kind in KINDS.values()),)
    assert info.missing


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars", "pyarrow"])
def test_round_trip(kind):
    """The same values, names, order and types come back, of the package that was given."""
    frame = native(kind)
    data = FrameDataset(frame)
    back = to_frame(
        data.info, to_values(data.info, frame), frame, keep={"name": [f"person {i}" for i in range(N)]}
    )
    assert type(back) is type(frame)
    assert list(back.columns if kind != "pyarrow" else back.column_names) == list(KINDS)
    if kind in ("pandas", "nullable"):
        # Cells that are missing make whole numbers and truth values nullable; nothing else changes.
        loose = ["small", "maybe", "empty"]
        exact, given = back.drop(columns=loose), frame.drop(columns=loose)
        pandas.testing.assert_frame_equal(
            exact.drop(columns=["price", "height", "single"]),
            given.drop(columns=["price", "height", "single"]),
        )
    elif kind == "polars":
        names = ["price", "height", "single"]
        assert back.drop(names).cast({"empty": polars.Null}).equals(frame.drop(names))
    else:
        assert back.schema.types[:16] == frame.schema.types[:16]
    mine, other = pyarrow_of(back), pyarrow_of(frame)
    for name in KINDS:
        a, b = mine[name].to_pylist(), other[name].to_pylist()
        if name in ("price", "height", "single"):
            seen = [v is not None and v == v for v in b]
            assert seen == [v is not None and v == v for v in a]
            np.testing.assert_allclose(
                [v for v in a if v], [v for v in b if v == v and v is not None], rtol=3e-6
            )
        else:
            assert [plain(v) for v in a] == [plain(v) for v in b], name


def plain(value):
    if value is None or value != value:
        return None
    return value if isinstance(value, str | dt.date | dt.timedelta) else float(value)


def pyarrow_of(frame):
    if isinstance(frame, pyarrow.Table):
        return frame
    return frame.to_arrow() if isinstance(frame, polars.DataFrame) else pyarrow.Table.from_pandas(frame)


def test_the_package_is_chosen_by_name():
    data = FrameDataset(arrow())
    x = to_values(data.info, arrow())
    assert isinstance(to_frame(data.info, x), pandas.DataFrame)
    assert isinstance(to_frame(data.info, x, "polars"), polars.DataFrame)
    assert isinstance(to_frame(data.info, x, "pyarrow"), pyarrow.Table)
    whole = to_frame(data.info, x)["small"]
    assert str(whole.dtype) == "Int8"
    assert whole.isna().sum() == 1


def test_whole_numbers_beyond_single_precision():
    """20,000,001, 20,000,004, … are no floats of 24 bits, and come back."""
    values = np.arange(20_000_001, 20_000_001 + 3 * 500, 3)
    data = FrameDataset(pyarrow.table({"n": np.random.default_rng(0).permutation(values)}))
    back = to_frame(data.info, to_values(data.info, data.frame), "pyarrow")
    assert back["n"].to_pylist() == data.frame["n"].to_pylist()


def test_json_keeps_everything():
    import json

    info = INFO
    assert DataInfo.from_json(json.loads(json.dumps(info.to_json()))) == info
    assert "columns" not in DataInfo((3,)).to_json()


def test_order_does_not_matter_and_others_are_passed_over():
    data = FrameDataset(arrow())
    frame = arrow().append_column("more", pyarrow.array(range(N)))
    mixed = frame.select(sorted(frame.column_names, reverse=True))
    assert torch.equal(to_values(data.info, mixed).nan_to_num(-9), to_values(data.info, frame).nan_to_num(-9))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"city": pyarrow.array(["Rom"] * (N - 2) + ["Paris", "Oslo"])},
            r"'city'.*'Oslo', 'Paris', in 2 rows",
        ),
        ({"small": pyarrow.array([1.5] * N)}, r"'small' has 1.5 in row 1; it holds whole numbers"),
        ({"unsigned": pyarrow.array([3] * 7 + [-1] * (N - 7))}, r"'unsigned' has -1 in row 8"),
        (
            {"price": pyarrow.array([1.0] * 4 + [-0.5] * (N - 4))},
            r"'price' has -0.5 in row 5; it holds numbers above 0",
        ),
        ({"height": pyarrow.array([1.0] * 4 + [math.inf] * (N - 4))}, r"'height' has inf in row 5"),
        ({"height": pyarrow.array(["tall"] * N)}, r"'height' has 'tall' in row 1; it holds numbers"),
        ({"day": pyarrow.array(["soon"] * N)}, r"'day' has 'soon' in row 1; it holds dates"),
        ({"day": pyarrow.array([3] * N)}, r"'day' holds values of the type Int64, and held Date"),
        ({"height": pyarrow.array([[1.0]] * N)}, r"'height' has values of the type list"),
    ],
)
def test_what_training_did_not_have_is_said_by_name(changed, message):
    info = INFO
    with pytest.raises(DataError, match=message):
        to_values(info, arrow(**changed))


def test_missing_columns_and_cells_are_said_by_name():
    info = INFO
    with pytest.raises(DataError, match="no column 'city', 'price'"):
        to_values(info, arrow().drop_columns(["price", "city"]))
    complete = FrameDataset(pyarrow.table({"a": RNG.normal(size=9), "b": RNG.normal(size=9)})).info
    gap = pyarrow.table({"b": [1.0, 2.0], "a": [None, 1.0]})
    with pytest.raises(DataError, match=r"missing in column 'a' \(1 rows, the first is 1\)"):
        to_values(complete, gap)


def test_other_types_of_the_same_values():
    """Codes of categories may be read as numbers or texts; dates as texts or times."""
    info = FrameDataset(
        arrow(zip=pyarrow.array([1000 + i % 7 for i in range(N)])), kinds={"zip": "category"}
    ).info
    place = [column.name for column in info.modelled].index("zip")
    for other in (pyarrow.float64(), pyarrow.string()):
        given = arrow(zip=pyarrow.array([1000 + i % 7 for i in range(N)]).cast(other))
        assert to_values(info, given)[:7, place].tolist() == list(range(7))
    texts = {name: arrow()[name].cast(pyarrow.string()) for name in ("day", "flag")}
    seen = to_values(info, arrow(zip=given["zip"], **texts)), to_values(info, arrow(zip=given["zip"]))
    assert torch.equal(*[x.nan_to_num(-9) for x in seen])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a", None], r"'x' are of several types: int, str"),
        ([True, 2.5, 1], r"'x' are of several types: bool, float, int"),
        ([{}, [], 1], r"'x' are of several types"),
        ([b"1", b"2", b"3"], r"'x' has values of the type binary"),
        ([1.0, math.inf, 2.0], r"'x' has inf in row 2"),
    ],
)
def test_columns_that_are_none(values, message):
    frame = pandas.DataFrame({"x": pandas.Series(values, dtype=object), "y": [1.0, 2.5, 4.0]})
    with pytest.raises(DataError, match=message):
        _ = FrameDataset(frame).info


def test_objects_of_one_type_are_that_type():
    frame = pandas.DataFrame(
        {"x": pandas.Series([True, None, False] * 5, dtype=object), "y": np.arange(15) ** 1.5}
    )
    x = FrameDataset(frame).info.columns[0]
    assert (x.kind, x.dtype, x.values, x.missing) == ("binary", "Boolean", (False, True), True)


def test_huge_values():
    """One huge value throughout is a constant; one among others is kept to single precision's part of the range."""
    data = FrameDataset(
        pyarrow.table({"c": [1e30] * 20, "x": [*np.arange(19.0), 1e300], "y": RNG.normal(size=20)})
    )
    assert [column.kind for column in data.info.columns] == ["constant", "positive", "real"]
    back = to_frame(data.info, to_values(data.info, data.frame), "pyarrow")
    assert back["c"].to_pylist() == [1e30] * 20
    np.testing.assert_allclose(
        np.log(np.array(back["x"].to_pylist()) + 5), np.log(np.array(data.frame["x"]) + 5), atol=1e-3
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("r", "real"), ("p", "positive"), ("z", "positive"), ("w", "whole")]
)
def test_density_in_the_users_units_integrates_to_one(name, kind):
    """A standard normal of the stored values, told per unit of the user, against quadrature over those units."""
    rng = np.random.default_rng(1)
    table = {
        "r": rng.normal(-300, 45, 200),
        "p": np.exp(rng.normal(3, 0.8, 200)),
        "z": np.where(rng.random(200) < 0.2, 0.0, np.exp(rng.normal(1, 1, 200))),
        "w": rng.integers(1900, 2000, 200),
    }
    info = FrameDataset(pyarrow.table({name: table[name]})).info
    column = info.columns[0]
    assert column.kind == kind

    def density(v):
        x = (column.mapped(np.array([v])) - info.shift[0]) / info.scale[0]
        return math.exp(norm.logpdf(x[0]) + float(log_jacobian(info, torch.tensor(x[None]))[0, 0]))

    low, high = (float(v) for v in column.unmapped(info.shift[0] + info.scale[0] * np.array([-9.0, 9.0])))
    points = column.unmapped(info.shift[0] + info.scale[0] * np.arange(-8.0, 9.0)).tolist()
    total = sum(quad(density, a, b)[0] for a, b in zip([low, *points], [*points, high], strict=True))
    assert total == pytest.approx(1, abs=1e-8)


def test_dates_per_day_and_times_per_second():
    info = INFO
    names = [column.name for column in info.modelled]
    jacobian = log_jacobian(info, torch.zeros(1, info.size))[0]
    days, instants = np.arange(N) * 7.0, np.arange(N) * 3600.0
    rows = FrameDataset(arrow()).places("train").numpy()
    assert float(jacobian[names.index("day")]) == pytest.approx(-math.log(days[rows].std()))
    assert float(jacobian[names.index("instant")]) == pytest.approx(-math.log(instants[rows].std()))
    assert float(jacobian[names.index("unsigned")]) == float(jacobian[names.index("city")]) == 0
