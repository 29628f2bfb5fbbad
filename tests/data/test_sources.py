"""Data that are given in Python: what they are taken for, which examples are where, and what is refused."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import genmod
from genmod import DataError, DataWarning, UsageError
from genmod.data.arrays import ends_of
from genmod.data.sources import as_dataset, as_examples
from genmod.system.memory import _Sizes

QUICK = {"steps": 3, "device": "cpu", "batch_size": 16}
SPLITS = ("train", "validation", "test")


@pytest.fixture
def x():
    return torch.rand(60, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.arange(60) % 3


def small(data, **more):
    return genmod.build(data=data, encoder="mlp", latent=2, settings={"encoder.hidden": [8]}, **more)


class Items(Dataset):
    """Items with labels, or with something drawn anew each time."""

    def __init__(self, x, labels=None, noise=0.0):
        self.x, self.labels, self.noise = x, labels, noise

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        x = self.x[i][None] + self.noise * torch.rand(())
        return x if self.labels is None else {"x": x, "labels": int(self.labels[i])}


class Flow(IterableDataset):
    def __init__(self, x, count=None):
        self.x, self.count = x, count

    def __iter__(self):
        i = 0
        while self.count is None or i < self.count:
            yield self.x[i % len(self.x)][None], i % 3
            i += 1


def rows(split):
    """The examples of a split, each as bytes, so that they can be told apart."""
    return [each.numpy().tobytes() for each in split.__getitems__(range(len(split))).x]


@pytest.mark.parametrize(
    "kind", ["tensor", "array", "file", "tensors", "items", "list", "loader", "subset", "splits", "tuple"]
)
def test_the_same_numbers_are_the_same_splits_as_of_a_file(kind, x, labels, tmp_path):
    np.savez(tmp_path / "x.npz", x=x.numpy())
    npz = genmod.open_dataset(
        genmod.compose(components={"dataset": {"name": "npz", "path": str(tmp_path / "x.npz")}})
    )
    whole = {"train": x, "validation": None, "test": None}
    given = {
        "tensor": lambda: x,
        "array": lambda: x.numpy(),
        "file": lambda: npz,
        "tensors": lambda: TensorDataset(x, labels),
        "items": lambda: Items(x),
        "list": lambda: [{"x": each[None], "labels": 3} for each in x],
        "loader": lambda: DataLoader(TensorDataset(x), batch_size=7, shuffle=True),
        "subset": lambda: Subset(TensorDataset(torch.cat([x, x])), range(60)),
        "splits": lambda: {name: each for name, each in whole.items() if each is not None},
        "tuple": lambda: tuple(npz.split(name) for name in SPLITS),
    }[kind]()
    if kind == "loader":
        with pytest.warns(DataWarning, match="its dataset is taken"):
            data = as_dataset(given)
    else:
        data = as_dataset(given)
    assert (data.info.shape, data.info.low, data.info.high, data.info.levels) == ((1, 4, 4), 0, 1, None)
    for name in SPLITS:
        assert rows(data.split(name)) == rows(npz.split(name))
    parts = [row for name in SPLITS for row in rows(data.split(name))]
    assert sorted(parts) == sorted(each.numpy().tobytes() for each in x)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (torch.tensor([[0, 255]] * 9, dtype=torch.uint8), {"levels": 256}),
        (torch.tensor([[0, 1]] * 9, dtype=torch.uint8), {"levels": 2}),
        (torch.tensor([[False, True]] * 9), {"levels": 2}),
        (torch.tensor([[0.0, 1.0]] * 9), {"levels": None, "high": 1.0}),
        (torch.tensor([[0.0, 1.5]] * 9, dtype=torch.bfloat16), {"levels": None, "high": float("inf")}),
        (torch.tensor([[-1.0, 1.0]] * 9, dtype=torch.float64), {"low": -float("inf")}),
        (torch.tensor([[0, 1000]] * 9), {"counts": True, "low": 0}),
        (np.array([[0, 7]] * 9, dtype=np.uint16), {"counts": True}),
    ],
)
def test_values_are_described(values, expected):
    info = as_dataset(values).info
    assert {name: getattr(info, name) for name in expected} == expected
    assert info.shape == (2,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.tensor([[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]]),
            r"1 values .* first is example 1, column 1",
        ),
        (np.array([[1.0, -np.inf]] * 4), "infinite"),
        (torch.tensor([[1, -2]] * 4), r"the first is -2 in example 0, "),
        (np.array([["a", "b"]] * 4), "type <U1"),
        (np.array([[object()]] * 4), "type object"),
        (torch.zeros(4), "shape"),
        (torch.zeros(0, 3), "shape"),
        (torch.zeros(2, 3), "3 or more"),
        (torch.zeros(5, 3).to_sparse(), "sparse"),
        (torch.zeros(5, 3, dtype=torch.complex64), "complex"),
        (np.array([[2.0**24 + 1], [2.0**24 + 2], [2.0**24 + 3]]), "single precision cannot distinguish"),
        (iter([[1.0]]), "allowed are a tensor"),
        ({"trian": torch.zeros(5, 2)}, "train is needed"),
        ((torch.zeros(5, 2), torch.zeros(5)), "one number for each example"),
        ({"train": torch.zeros(5, 2), "test": torch.zeros(5, 3)}, "differ from split to split"),
        (Items([torch.zeros(2), torch.zeros(3), torch.zeros(2)]), "examples differ"),
        (Items([]), "no items"),
        (Flow(torch.zeros(1, 2), 0), "no examples"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        as_dataset(given)


def test_arrays_have_their_channels_where_npz_finds_them():
    assert as_dataset(np.zeros((5, 8, 6, 3), dtype=np.uint8)).info.shape == (3, 8, 6)
    assert as_dataset(torch.zeros(5, 3, 8, 6)).info.shape == (3, 8, 6)
    assert as_dataset(torch.zeros(5, 7, 2, 2, 2)).info.shape == (7, 2, 2, 2)
    with pytest.warns(DataWarning, match="movedim"):
        assert as_dataset(torch.zeros(5, 8, 6, 3)).info.shape == (8, 6, 3)


def test_labels_are_matched_by_name(x, labels):
    known = genmod.DataInfo((1, 4, 4), classes=("10", "11", "12"))
    split = as_examples(TensorDataset(x, labels + 10), known)
    assert split.info.classes == ("10", "11", "12")
    assert torch.equal(split.batch.labels, labels)
    named = as_examples(TensorDataset(x, labels), genmod.DataInfo((1, 4, 4), classes=("cat", "dog", "cow")))
    assert named.info.classes == ("cat", "dog", "cow")
    assert torch.equal(named.batch.labels, labels)
    data = as_dataset(Items(x, labels))
    assert data.info.classes == ("0", "1", "2")
    assert data.split("test").__getitems__([0]).labels.dtype == torch.int64


def test_what_is_no_label_is_left_out_aloud(x):
    with pytest.warns(DataWarning, match=r"float32 \(60, 2\)"):
        assert as_dataset(TensorDataset(x, torch.zeros(60, 2))).info.classes == ()


def test_examples_are_all_rows_in_their_order(x):
    info = genmod.DataInfo((1, 4, 4))
    loader = DataLoader(Items(x), batch_size=7, collate_fn=torch.stack)
    for given in (x, x.numpy(), Items(x), Flow(x, 60), loader):
        assert rows(as_examples(given, info)) == [each.numpy().tobytes() for each in x]


@pytest.mark.parametrize("as_loader", [False, True])
def test_a_stream_is_read_in_its_order_and_its_first_examples_are_held_out(x, as_loader):
    flow = DataLoader(Flow(x, 60), batch_size=7) if as_loader else Flow(x, 60)
    with pytest.warns(DataWarning, match=r"first 12 examples .* for validation and test"):
        data = as_dataset(flow)
    wanted = [each.numpy().tobytes() for each in x]
    train = data.split("train")
    assert rows(data.split("validation")) == wanted[:6]
    assert rows(data.split("test")) == wanted[6:12]
    assert (len(train), train.exact, train.in_memory()) == (48, False, None)
    assert rows(train) == wanted[12:]
    # Where it ends it begins anew.
    assert rows(train)[:5] == wanted[12:17]
    assert train.__getitems__([0, 1]).labels.tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore::genmod.DataWarning")
def test_an_endless_stream_trains(x, monkeypatch):
    monkeypatch.setattr("genmod.data.given._READ_FIRST", 500)
    data = as_dataset(Flow(x))
    assert (len(data.split("train")), len(data.split("test"))) == (500, 51)
    assert genmod.train(small({"train": x}), data, **QUICK).status == "finished"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::genmod.DataWarning")
def test_a_stream_is_not_read_by_several_processes(x):
    with pytest.raises(DataError, match="processes"):
        genmod.train(small(x), as_dataset(Flow(x, 60)), **QUICK, workers=1)


def test_items_that_are_drawn_anew_are_noticed(x):
    with pytest.warns(DataWarning, match="differ from one reading to the next"):
        data = as_dataset(Items(x, noise=0.1), known=genmod.DataInfo((1, 4, 4), 0.0, 2.0))
    assert not data.split("train").exact


@pytest.mark.parametrize(
    "kind",
    ["items", "splits", *(pytest.param(k, marks=pytest.mark.slow) for k in ("tensor", "array", "tensors"))],
)
def test_everything_takes_them(kind, x, labels, tmp_path):
    given = {
        "tensor": x,
        "array": x.numpy(),
        "items": Items(x, labels),
        "tensors": TensorDataset(x, labels),
        "splits": {"train": x, "test": x[:20]},
    }[kind]
    model = small(given)
    result = genmod.train(model, given, **QUICK, directory=tmp_path / "m")
    assert result.status == "finished"
    count = genmod.evaluate(model, given)["elbo"].n
    assert count == (20 if kind == "splits" else 60)
    sampler = genmod.fit_sampler(model, given, "gaussian")
    assert sampler.origin.count == (54 if kind == "splits" else 48)
    # The model describes the data, and is loaded without them.
    plain = json.loads((tmp_path / "m" / "model.json").read_text())
    assert set(plain["components"]["dataset"]) == {"module"}
    loaded = genmod.load(tmp_path / "m")
    with pytest.raises(DataError, match=r"given in Python.*\n.*genmod.train\(model, data\)"):
        genmod.train(loaded, **QUICK)
    assert genmod.train(loaded, given, directory=tmp_path / "m", resume=True, steps=5).steps == 5


def test_the_same_numbers_give_the_same_weights_whatever_holds_them(x):
    weights = []
    for given in (x, Items(x), x.numpy()):
        model = small(given)
        genmod.train(model, given, **QUICK)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_a_dataframe_is_a_table(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"a": rng.normal(5, 2, 60), "b": rng.normal(0, 9, 60)})
    model = small(frame, decoder="gaussian")
    assert [column.name for column in model.data.columns] == ["a", "b"]
    assert genmod.train(model, frame, **QUICK).status == "finished"
    turned = genmod.evaluate(model, frame[["b", "a"]])["elbo"].value
    assert turned == genmod.evaluate(model, frame)["elbo"].value
    named = as_dataset({"train": frame, "test": frame[:9] * 100})
    assert [len(named.split(name)) for name in SPLITS] == [54, 6, 9]
    # The statistics are those of the training data.
    assert float(named.split("test").__getitems__([0]).x.abs().max()) > 20
    with pytest.raises(DataError, match="'b'"):
        genmod.evaluate(model, frame[["a"]])
    with pytest.raises(DataError, match="columns a, b"):
        genmod.evaluate(model, torch.zeros(3, 2))


def test_a_path_is_data_too(x, tmp_path):
    np.savez(tmp_path / "x.npz", x=x.numpy())
    np.savez(tmp_path / "y.npz", x=x.numpy()[:7])
    model = small(tmp_path / "x.npz")
    by_path = genmod.train(model, str(tmp_path / "x.npz"), **QUICK)
    again = small(x)
    assert genmod.train(again, x, **QUICK).rows[-1]["loss"] == by_path.rows[-1]["loss"]
    assert genmod.evaluate(again, tmp_path / "y.npz")["elbo"].n == 7
    with pytest.raises(UsageError, match="no dataset opens"):
        genmod.train(model, tmp_path / "x.doc", **QUICK)


def test_values_are_in_their_own_units_for_a_standardised_model(tmp_path):
    x = np.random.default_rng(0).normal([1e3, 0], [5, 2], size=(200, 2))
    np.savez(tmp_path / "x.npz", x=x)
    table = {"name": "npz", "path": str(tmp_path / "x.npz"), "standardize": True}
    model = small(table, decoder="gaussian")
    split = model.suited(x)
    values = split.__getitems__(range(200)).x
    expected = (x - model.data.shift) / np.array(model.data.scale)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_values_are_described_without_many_times_their_memory():
    """Some rows at a time, and as all at once."""
    x = torch.randn(40_000, 64)
    x[::7, 3] = torch.nan
    seen = _Sizes()
    with seen:
        ends = ends_of(x)
    assert ends == (float(x.nan_to_num().min()), float(x.nan_to_num().max()))
    # The places where a mask is true, which cannot be seen here, take four times what the values do.
    assert max(seen.sizes) <= 2**20 < x.nbytes
    assert ends_of(torch.full((3, 2), torch.nan)) == (torch.inf, -torch.inf) == ends_of(torch.zeros(0, 2))
