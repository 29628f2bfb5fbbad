"""The contract: descriptions of data, batches, splits in memory, and where data files are."""

import json
import math
from pathlib import Path

import pytest
import torch

from genmod.data.dataset import Batch, DataInfo, Factor, TensorSplit, default_root
from genmod.errors import DataError


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.5, 7.25)])
@pytest.mark.parametrize("levels", [2, 17, 42, 256])
def test_levels_are_equally_spaced_from_low_to_high(low, high, levels):
    info = DataInfo((1,), low, high, levels)
    values = info.values(torch.arange(levels, dtype=torch.int16))
    assert values[0] == low
    assert values[-1] == high
    torch.testing.assert_close(values, torch.linspace(low, high, levels))


def test_floats_are_their_own_values():
    x = torch.randn(3, 2)
    assert DataInfo((2,), -math.inf, math.inf).values(x) is x


def test_integers_that_were_declared_continuous_are_refused():
    with pytest.raises(DataError, match=r"torch\.uint8"):
        DataInfo((2,)).values(torch.zeros(3, 2, dtype=torch.uint8))


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": ()},
        {"shape": (0, 3)},
        {"shape": (2**15, 2**15)},
        {"low": 1.0},
        {"low": math.nan},
        {"levels": 1},
        {"levels": 2, "high": math.inf},
    ],
)
def test_impossible_descriptions_are_refused(arguments):
    with pytest.raises(DataError):
        DataInfo(**{"shape": (3,), **arguments})


def test_description_survives_json():
    info = DataInfo((3, 4, 5), -math.inf, math.inf, None, ("a", "b"), (Factor("x", 7),))
    assert DataInfo.from_json(json.loads(json.dumps(info.to_json(), allow_nan=False))) == info


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [3, "x"]},
        {"shape": [10**9]},
        {"shape": 3},
        {"shape": [math.inf]},
        {"low": "nan"},
        {"low": None},
        {"levels": 0},
        {"levels": "many"},
        {"classes": 3},
        {"factors": [{"name": "x"}]},
        {"factors": ["x"]},
    ],
)
def test_damaged_descriptions_are_refused(change):
    with pytest.raises(DataError, match="damaged"):
        DataInfo.from_json({**DataInfo((3,)).to_json(), **change})


@pytest.mark.parametrize("plain", [{}, None, [], "x", 3])
def test_what_is_no_description_is_refused(plain):
    with pytest.raises(DataError, match="damaged"):
        DataInfo.from_json(plain)


def test_batches_are_cut_in_all_parts():
    batch = Batch(torch.arange(6).reshape(3, 2), torch.arange(3), torch.arange(9).reshape(3, 3))
    part = batch[torch.tensor([2, 0])]
    assert part.x.tolist() == [[4, 5], [0, 1]]
    assert part.labels.tolist() == [2, 0]
    assert part.factors.tolist() == [[6, 7, 8], [0, 1, 2]]
    assert len(batch[1:]) == 2
    assert batch.to(torch.device("cpu")).x is batch.x


def test_a_split_in_memory_copies_nothing_when_taken_whole():
    batch = Batch(torch.zeros(3, 2))
    assert TensorSplit(batch).in_memory() is batch


@pytest.mark.parametrize(
    ("explicit", "environment", "expected"),
    [
        (Path("here"), {"GENMOD_DATA": "/there"}, Path("here")),
        (Path("~/here"), {}, Path("/home/me/here")),
        (None, {"GENMOD_DATA": "~/there", "XDG_CACHE_HOME": "/cache"}, Path("/home/me/there")),
        (None, {"GENMOD_DATA": "", "XDG_CACHE_HOME": "/cache"}, Path("/cache/genmod")),
        (None, {}, Path("/home/me/.cache/genmod")),
    ],
)
def test_default_root(monkeypatch, explicit, environment, expected):
    for name in ("GENMOD_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert default_root(explicit) == expected
