"""Nearest examples of a split, some of whose values may be missing."""

import math

import numpy as np
import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit
from genmod.evaluation import neighbours
from genmod.evaluation.neighbours import nearest, nearest_example


@pytest.mark.parametrize("missing", [True, False])
def test_nearest_is_that_of_a_plain_loop(missing):
    generator = torch.Generator().manual_seed(0)
    stored = torch.rand(50, 1, 3, 3, generator=generator)
    queries = torch.rand(7, 1, 3, 3, generator=generator)
    if missing:
        stored[torch.rand(stored.shape, generator=generator) < 0.2] = math.nan
        queries[0, 0, 0, :2] = math.nan
    far, places = nearest_example(queries, TensorSplit(Batch(stored)), DataInfo((1, 3, 3)), limit=40)
    for place, query in enumerate(queries):
        distances = ((stored[:40] - query) ** 2).flatten(1).nanmean(1).sqrt()
        assert places[place] == distances.argmin()
        assert far[place].item() == pytest.approx(distances.min().item(), rel=1e-5)


def test_large_examples_are_compared_in_smaller_pieces(monkeypatch):
    monkeypatch.setattr(neighbours, "_ELEMENTS", 60)
    sizes, squares = [], neighbours.squared_distances
    monkeypatch.setattr(
        neighbours, "squared_distances", lambda x, y: sizes.append((len(x), len(y))) or squares(x, y)
    )
    x, train = (torch.randn(n, 3, 4, generator=torch.Generator().manual_seed(n)) for n in (8, 23))
    far, places = nearest(x, train, 2)
    exact = torch.cdist(x.flatten(1).double(), train.flatten(1).double()).sort(1)
    torch.testing.assert_close(far, exact.values[:, :2])
    assert torch.equal(places, exact.indices[:, :2])
    # 60 values are five examples of twelve.
    assert max(max(pair) for pair in sizes) == 5


def test_copies_of_training_examples_are_at_no_distance():
    stored = torch.rand(30, 4)
    far, places = nearest_example(stored[[3, 17]], TensorSplit(Batch(stored)), DataInfo((4,)), limit=100)
    assert places.tolist() == [3, 17]
    assert far.max() < 1e-6


def test_columns_of_tables_are_measured_in_standard_deviations():
    stored = torch.randn(500, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 100.0])
    stored[::5, 0] = math.nan
    queries = torch.tensor([[0.0, 30.0], [0.5, math.nan]])
    far, places = nearest_example(queries, TensorSplit(Batch(stored)), DataInfo((2,)), limit=500)
    width = torch.from_numpy(np.nanstd(stored.double().numpy(), 0))
    for place, query in enumerate(queries):
        distances = (((stored - query) / width) ** 2).nanmean(1).sqrt().nan_to_num(0.0)
        assert places[place] == distances.argmin()
        assert far[place].item() == pytest.approx(distances.min().item(), rel=1e-5)
