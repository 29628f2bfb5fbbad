"""Tables of counts: kept as they are, and refused where they are none."""

import math

import numpy as np
import pytest
import torch

from genmod import DataError, DataInfo
from genmod.plugins.datasets.npz import Npz


def table(folder, x, **options):
    np.savez(folder / "counts.npz", x=x)
    return Npz(folder, path=folder / "counts.npz", **{"counts": True, **options})


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint16", "float32", "float64"])
def test_counts_of_any_type_are_kept(tmp_path, dtype):
    x = np.random.default_rng(0).poisson(5, (50, 4)).astype(dtype)
    data = table(tmp_path, x)
    assert data.info == DataInfo((4,), high=math.inf, counts=True)
    stored = torch.cat([data.split(name).batch.x for name in ("train", "validation", "test")])
    values = data.info.values(stored, torch.float32)
    assert sorted(map(tuple, values.tolist())) == sorted(map(tuple, x.tolist()))


@pytest.mark.parametrize("wrong", [-1.0, 0.5, math.nan, math.inf, 2.0**31])
def test_what_is_no_count_is_refused(tmp_path, wrong):
    x = np.ones((50, 4))
    x[7, 2] = wrong
    with pytest.raises(DataError, match=r"1 values that are no counts.*example 7"):
        _ = table(tmp_path, x).info


def test_counts_are_not_standardised(tmp_path):
    with pytest.raises(DataError, match="standardised"):
        _ = table(tmp_path, np.ones((50, 4), dtype=np.int64), standardize=True).info


def test_description_survives_json_and_lacks_nothing_older():
    info = DataInfo((4,), high=math.inf, counts=True)
    assert DataInfo.from_json(info.to_json()) == info
    older = {name: value for name, value in DataInfo((4,)).to_json().items() if name != "counts"}
    assert DataInfo.from_json(older) == DataInfo((4,))


@pytest.mark.parametrize("wrong", [{"levels": 4}, {"low": 1.0, "high": math.inf}])
def test_counts_begin_at_zero_and_have_no_levels(wrong):
    with pytest.raises(DataError, match="counts"):
        DataInfo((4,), counts=True, **wrong)
