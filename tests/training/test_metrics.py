"""Means over examples that do not depend on when they are looked at."""

import math

import pytest
import torch

from genmod import Terms
from genmod.training.metrics import RunningMeans


def batches(sizes):
    draws = [torch.randn(2, n) * 1e3 for n in sizes]
    return [(Terms(d[0].mean(), {"rate": d[0], "elbo": d[1]}), d.shape[1]) for d in draws]


def added(given, looks=()):
    means = RunningMeans()
    for i, (terms, n) in enumerate(given):
        means.add(terms, n)
        if i in looks:
            means.state()
    return means


@pytest.mark.parametrize(
    "sizes", [[1] * 9, [7] * 9, [128] * 9, [40000] * 3, [128, 128, 3, 128, 64], [8] * 600]
)
def test_looking_changes_no_bit(sizes):
    given = batches(sizes)
    expected = added(given).state()
    for looks in ([0], [1, 2], range(len(sizes)), [4, 5]):
        assert added(given, looks).state() == expected


def test_they_are_means_over_examples():
    given = batches([3, 128, 50])
    means = added(given).take()
    for name in ("rate", "elbo"):
        exact = math.fsum(float(v) for terms, _ in given for v in terms.values[name]) / 181
        assert means[name] == pytest.approx(exact, rel=1e-12)
    assert means["loss"] == pytest.approx(sum(float(t.loss) * n for t, n in given) / 181)


def test_terms_that_are_not_always_there():
    means = added([(Terms(torch.tensor(1.0), {"a": torch.ones(2)}), 2), (Terms(torch.tensor(1.0), {}), 2)])
    assert means.take() == {"loss": 1.0, "a": 0.5}


def test_they_go_on_from_a_state():
    given = batches([5] * 6)
    means = RunningMeans()
    means.restore(added(given[:3]).state())
    for terms, n in given[3:]:
        means.add(terms, n)
    assert means.take() == added(given).take()
    assert means.take() == {}
