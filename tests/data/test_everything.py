"""All examples of a dataset in the order of its file, whatever the split."""

import numpy as np
import pytest
import torch
from PIL import Image

from genmod import Batch, DataError, DataInfo, Dataset, Split, TensorSplit, open_dataset
from genmod.data import every_row, in_order
from genmod.spec import ComponentSpec, ModelSpec


def opened(name, path, known=None, **options):
    spec = ModelSpec({"dataset": ComponentSpec(name, {"path": path, **options})})
    dataset = open_dataset(spec)
    dataset.known = known
    return dataset


def values(split):
    return split.__getitems__(range(len(split))).x


class Three(Dataset):
    """Two, one and three examples, which have no order but that of the splits."""

    info = DataInfo((1,), 0, 10)

    def split(self, name):
        held = {"train": [1.0, 2.0], "validation": [3.0], "test": [4.0, 5.0, 6.0]}[name]
        labels = torch.arange(len(held))
        return TensorSplit(Batch(torch.tensor(held)[:, None], labels), self.info, [f"{x:g}" for x in held])


def test_without_an_order_of_their_own_the_splits_follow_one_another(tmp_path):
    every = every_row(Three(tmp_path))
    assert values(every).flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert every.names == ["1", "2", "3", "4", "5", "6"]
    some = every.__getitems__([5, 0, 2, 5])
    assert some.x.flatten().tolist() == [6, 1, 3, 6]
    assert some.labels.tolist() == [2, 0, 0, 2]
    assert every.__getitems__([]).x.shape == (0, 1)
    with pytest.raises(IndexError):
        every.__getitems__([6])
    split, rows = in_order(Three(tmp_path), "test")
    assert rows.tolist() == [3, 4, 5]
    assert torch.equal(values(split), values(every)[rows])


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).normal(5, 3, (40, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 4, shade=np.arange(40) % 3)
    return tmp_path / "x.npz", torch.from_numpy(x)


@pytest.mark.parametrize("name", ["train", "validation", "test", "all"])
def test_splits_of_an_array_file_in_its_order(table, name):
    path, x = table
    dataset = opened("npz", path, factors=["shade"])
    split, rows = in_order(dataset, name)
    assert rows.tolist() == sorted(rows.tolist())
    batch = split.__getitems__(range(len(split)))
    assert torch.equal(batch.x, x[rows])
    assert torch.equal(batch.labels, rows % 4)
    assert torch.equal(batch.factors[:, 0], rows % 3)


def test_splits_of_the_file_are_places_one_after_the_other(tmp_path):
    np.savez(tmp_path / "x.npz", x_test=np.full((2, 1), 9.5), x_train=np.arange(10.0)[:, None] + 0.5)
    dataset = opened("npz", tmp_path / "x.npz")
    assert values(every_row(dataset)).flatten().tolist() == [*(np.arange(10.0) + 0.5), 9.5, 9.5]
    assert dataset.places("test").tolist() == [10, 11]
    assert sorted(torch.cat([dataset.places(name) for name in ("train", "validation")]).tolist()) == [
        *range(10)
    ]


def test_a_file_of_one_row_in_the_statistics_of_the_model(table):
    path, x = table
    known = opened("npz", path, standardize=True).info
    one = path.with_name("one.npz")
    np.savez(one, x=x[:1].numpy())
    split = every_row(opened("npz", one, known, standardize=True))
    shift, scale = (torch.tensor(each, dtype=torch.float64) for each in (known.shift, known.scale))
    expected = (x[:1].double() - shift) / scale
    assert torch.equal(values(split), expected.float())
    assert (split.info.shift, split.info.scale) == (known.shift, known.scale)
    # By itself it has no training split whose statistics it could take, and factors need not be there.
    with pytest.raises(DataError, match="3 or more"):
        every_row(opened("npz", one, standardize=True))
    assert len(every_row(opened("npz", one, factors=["shade"]))) == 1


def test_shards_of_one_row_and_of_several_files(tmp_path):
    np.save(tmp_path / "b.npy", np.float32([[3.0], [4.0], [5.0]]))
    np.save(tmp_path / "a.npy", np.float32([[1.0], [2.0]]))
    dataset = opened("shards", tmp_path)
    assert values(every_row(dataset)).flatten().tolist() == [1, 2, 3, 4, 5]
    for name in ("train", "validation", "test"):
        assert torch.equal(values(dataset.split(name)), values(every_row(dataset))[dataset.places(name)])
    np.save(tmp_path / "one.npy", np.float32([[7.0]]))
    assert values(every_row(opened("shards", tmp_path / "one.npy"))).tolist() == [[7.0]]


def test_pictures_in_the_order_of_their_paths_by_name(tmp_path):
    for i, name in enumerate(("train/a/z.png", "test/b/a.png", "train/b/b.png", "val/a/c.png")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), 10 * i).save(tmp_path / name)
    dataset = opened("image-folder", tmp_path, channels=1)
    every = every_row(dataset)
    assert every.names == ["test/b/a.png", "train/a/z.png", "train/b/b.png", "val/a/c.png"]
    assert values(every)[:, 0, 0, 0].tolist() == [10, 0, 20, 30]
    assert dataset.split("train").names == ["train/a/z.png", "train/b/b.png"]
    assert dataset.places("train").tolist() == [1, 2]


class Lazy(Split):
    """Examples that are not in memory."""

    names = ("a", "b")
    info = DataInfo((1,), 0, 9, classes=("x", "y"))

    def __len__(self):
        return 2

    def __getitems__(self, indices):
        return Batch(torch.tensor([[1.0], [2.0]])[list(indices)], torch.tensor([0, 1])[list(indices)])


class Named(Three):
    info = Lazy.info

    def everything(self):
        return Lazy()

    def places(self, name):
        return torch.tensor([["train", "test"].index(name)])

    def split(self, name):
        return TensorSplit(Lazy().__getitems__(self.places(name).tolist()), self.info)


def test_in_the_terms_of_a_model(tmp_path):
    from genmod.data.suited import suited

    data = suited(Named(tmp_path), DataInfo((1,), 0, 9, classes=("y", "x")))
    every, rows = in_order(data, "all")
    assert every.names == ("a", "b")
    assert every.__getitems__([0, 1]).labels.tolist() == [1, 0]
    assert rows.tolist() == [0, 1]
    one, rows = in_order(data, "test")
    assert (values(one).tolist(), rows.tolist()) == ([[2.0]], [1])
