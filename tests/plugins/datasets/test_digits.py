"""scikit-learn's digits, in an order that is ours."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from genmod.plugins.datasets import digits as module
from genmod.plugins.datasets.digits import Digits

GOLDEN = {
    "train": (1297, "d07a9be1f5441c45f236eecaedd3f439f6d540b49df182db18f4b0d894cb7162"),
    "validation": (250, "dbdbc6b2ad46898912f04234a4e1241a1d60b2e809918b29c3829575ee485d04"),
    "test": (250, "fb39744007f4085fd76c3a300283baab51642e6d42ecec4cf226ae8b41171b88"),
}


@pytest.fixture
def digits():
    return Digits(Path("not there"))


@pytest.mark.parametrize("name", GOLDEN)
def test_splits_are_these_forever(digits, digest, name):
    assert (len(digits.split(name)), digest(digits.split(name))) == GOLDEN[name]


def test_all_of_scikit_learns_digits_are_in_one_split(digits):
    images, labels = load_digits(return_X_y=True)
    batches = [digits.split(name).in_memory() for name in GOLDEN]
    ours = np.concatenate([np.column_stack([b.x.reshape(-1, 64).numpy(), b.labels.numpy()]) for b in batches])
    theirs = np.column_stack([images, labels])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_classes_are_in_proportion_everywhere(digits):
    whole = torch.from_numpy(load_digits(return_X_y=True)[1]).bincount() / 1797
    for name in GOLDEN:
        labels = digits.split(name).in_memory().labels
        for part in (labels, labels[: len(labels) // 3], labels[-100:]):
            assert torch.allclose(part.bincount(minlength=10) / len(part), whole, atol=1.5 / len(part))


def test_values(digits):
    info, x = digits.info, digits.split("train").in_memory().x
    assert (info.shape, info.levels, info.low, info.high) == ((1, 8, 8), 17, 0, 1)
    assert x.unique().tolist() == list(range(17))


def test_where_the_file_is_not_found_scikit_learn_is_asked(monkeypatch, digest):
    assert Path(find_spec("sklearn").submodule_search_locations[0], "datasets/data/digits.csv.gz").is_file()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(gzip, "open", lambda *a, **k: pytest.fail("read the file"))
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda **k: _digits())
    monkeypatch.setattr(module, "_table", module._table.__wrapped__)
    assert digest(Digits(Path("not there")).split("test")) == GOLDEN["test"][1]


_CACHED = load_digits(return_X_y=True)


def _digits():
    return _CACHED
