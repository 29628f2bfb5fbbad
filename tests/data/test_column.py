"""Descriptions of columns: what is refused, and how values are mapped, rounded and shown."""

import numpy as np
import pytest

from genmod import Column, DataError, DataInfo
from genmod.data.column import check_columns

GOOD = Column("a", "category", "String", ("x", "y"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "number"}, "is 'number'; there are binary, category"),
        ({"kind": "binary", "values": ("x",)}, "is binary and has 1 values"),
        ({"kind": "category", "values": ("x", "x")}, "a value twice"),
        ({"kind": "category", "values": tuple(map(str, range(100_001)))}, "more than 100,000 values"),
        ({"kind": "category", "values": ("x" * 10_001, "y")}, "more than 10,000 characters"),
        ({"kind": "category", "values": (("x",), "y")}, "no texts, numbers, true or false"),
        ({"kind": "real", "values": ("x",)}, "is real and has 1 values"),
        ({"kind": "real", "low": float("nan")}, "not finite"),
        ({"kind": "real", "modes": 0}, "0 modes"),
        ({"kind": "positive", "offset": -1.0}, "offset -1"),
        ({"kind": "real", "name": "n" * 10_001}, "longer than 10,000"),
    ],
)
def test_what_is_no_column(fields, message):
    with pytest.raises(DataError, match=message):
        Column(**{"name": "a", "kind": "real", "dtype": "Float64", **fields})


def test_columns_fit_the_shape_and_have_names_of_their_own():
    with pytest.raises(DataError, match="2 columns with 1 names"):
        check_columns((GOOD, GOOD), (2,))
    with pytest.raises(DataError, match=r"1 columns are modelled, and examples have the shape \(2,\)"):
        check_columns((GOOD,), (2,))
    many = [Column(str(i), "identifier", "Int64") for i in range(10_001)]
    with pytest.raises(DataError, match="allowed are 10,000"):
        check_columns(many, (0,))


def test_a_damaged_description_is_said_to_be_one():
    data = DataInfo((1,), -np.inf, np.inf, shift=(0.0,), scale=(1.0,), columns=(GOOD,))
    plain = data.to_json()
    for damage in (
        {"kind": ["real"]},
        {"kind": None},
        {"values": 3},
        {"values": [{"a": 1}, 2]},
        {"low": "x"},
        {"modes": "many"},
    ):
        broken = {**plain, "columns": [{**plain["columns"][0], **damage}]}
        with pytest.raises(DataError, match="damaged"):
            DataInfo.from_json(broken)
    for columns in (3, ["a"], [{}], {"a": 1}):
        with pytest.raises(DataError, match="damaged"):
            DataInfo.from_json({**plain, "columns": columns})


def test_maps_steps_and_words():
    column = Column("p", "positive", "Float64", low=0.0, high=9.0, offset=0.5, step=0.01)
    values = np.array([0.0, 0.37, 1e6])
    np.testing.assert_allclose(column.unmapped(column.mapped(values)), values, atol=1e-9)
    np.testing.assert_allclose(column.mapped(values), np.log(values + 0.5))
    assert column.rounded(np.array([0.1 + 0.2, 1.23456])).tolist() == [0.3, 1.23]
    hours = Column("t", "date", "Datetime(us)", step=3600.0)
    assert hours.rounded(np.array([5399.0, 5401.0])).tolist() == [3600.0, 7200.0]
    assert hours.shown(86_400.0) == "1970-01-02 00:00:00"
    assert Column("d", "date", "Date").shown(31) == "1970-02-01"
    assert Column("d", "date", "Date").shown(1e15) == "1e+15"


def test_values_in_the_users_units():
    data = DataInfo(
        (2,),
        -np.inf,
        np.inf,
        shift=(1.0, 10.0),
        scale=(2.0, 3.0),
        columns=(Column("p", "positive", "Float64", offset=0.5), Column("r", "real", "Float64")),
    )
    import torch

    found = data.original(torch.tensor([[0.25, 2.0]]))
    np.testing.assert_allclose(found.numpy(), [[np.exp(1.5) - 0.5, 16.0]])
