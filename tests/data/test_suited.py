"""Data of another file, given to a model: in its units and with its numbers of classes, or refused."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from genmod import Batch, DataInfo, Factor, TensorSplit, build, evaluate, fit_sampler, load, save, train
from genmod.data.suited import check_values, suited
from genmod.errors import DataError, DataWarning
from genmod.figures import latents_figure, reconstruction_grid, sample_grid
from genmod.model.assembly import open_dataset
from genmod.plugins.datasets.npz import Npz

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}


@pytest.fixture
def file(tmp_path):
    def write(name, **arrays):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        return {"name": "npz", "path": str(tmp_path / f"{name}.npz")}

    return write


def opened(part, **options):
    return Npz(Path(), path=Path(part["path"]), **options)


def refusal(function):
    with pytest.raises(DataError) as raised:
        function()
    assert raised.value.hint
    return raised.value.message


def elbo(model, data):
    return evaluate(model, data, "elbo[20]")["elbo"].value


# Statistics of standardising.


def test_large_numbers_that_differ_little_keep_their_values(file):
    rng = np.random.default_rng(0)
    times = 1.7e9 + 30 * rng.standard_normal(1000)
    part = {**file("times", x=np.stack([times, rng.standard_normal(1000)], 1)), "standardize": True}
    model = build(data=part, decoder="gaussian", **SMALL)
    data = open_dataset(model.spec, info=model.data)
    train_ = data.split("train").batch.x
    assert len(train_[:, 0].unique()) == 800
    back = model.data.original(torch.cat([data.split(s).batch.x for s in ("train", "validation", "test")]))
    np.testing.assert_allclose(np.sort(back[:, 0].numpy()), np.sort(times), rtol=0, atol=1e-4)


def test_single_precision_that_would_lose_the_values_is_refused(file):
    part = file("times", x=1.7e9 + np.random.default_rng(0).standard_normal((50, 2)) * 30)
    assert "column 0" in refusal(lambda: opened(part).info)


def test_what_rounding_leaves_of_a_constant_is_no_deviation(file):
    x = np.column_stack([np.full(100, 0.1) * 3, np.random.default_rng(0).standard_normal(100)])
    assert opened(file("constant", x=x), standardize=True).info.scale[0] == 1


def test_a_new_file_is_standardised_by_the_models_statistics(file, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal([5, 100], [1, 10], (500, 2))
    model = build(
        data={**file("a", x=x), "standardize": True},
        decoder={"name": "gaussian", "scale": 1.0},
        objective={"name": "elbo"},
        **SMALL,
    )
    model = load(save(model, tmp_path / "model"))
    shifted = opened(file("b", x=x + np.array([3, 50])), standardize=True)
    found = model.suited(shifted).split("test").batch.x.double()
    own = opened(file("a", x=x), standardize=True).split("test").batch.x.double()
    expected = own + torch.tensor([3.0, 50.0]) / torch.tensor(model.data.scale)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    raw = opened(file("b", x=x + np.array([3, 50])))
    torch.testing.assert_close(
        model.suited(raw).split("test").batch.x.double(), expected, rtol=1e-5, atol=1e-5
    )
    # The network makes the same of both, so that the distance alone decides.
    assert elbo(model, shifted) < elbo(model, opened(file("a", x=x), standardize=True)) - 10
    assert elbo(model, shifted.split("test")) == elbo(model, shifted)
    identical = model.suited(opened(file("a", x=x), standardize=True)).split("train").batch.x
    assert torch.equal(identical, opened(file("a", x=x), standardize=True).split("train").batch.x)


def test_columns_of_classes_are_not_standardised_unless_they_are_named(file):
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(5, 2, 200), rng.integers(0, 3, 200), rng.integers(1900, 2000, 200)])
    info = opened(file("mixed", x=x), standardize=True).info
    assert (info.shift[1], info.scale[1]) == (0, 1)
    assert info.shift[2] == pytest.approx(1950, abs=10)
    named = opened(file("mixed", x=x), standardize=[1]).info
    assert (named.shift[0], named.scale[0]) == (0, 1)
    assert named.scale[1] == pytest.approx(math.sqrt(2 / 3), abs=0.1)


def test_missing_values_stay_missing_and_count_for_nothing(file):
    x = np.random.default_rng(0).normal(5, 2, (200, 2))
    x[::7, 0] = np.nan
    data = opened(file("gaps", x=x), standardize=True, missing=True)
    seen = data.split("train").batch.x
    assert int(seen.isnan().sum()) > 0
    assert float(seen[:, 0].nanmean()) == pytest.approx(0, abs=1e-5)


def test_arrays_are_saved_in_the_users_units(file, tmp_path):
    x = np.random.default_rng(0).normal([1e6, -5], [3, 0.1], (200, 2))
    part = {**file("units", x=x), "standardize": True}
    model = build(data=part, decoder="gaussian", **SMALL)
    batch = open_dataset(model.spec, info=model.data).split("test").batch
    reconstruction_grid(model, batch.x).save(tmp_path / "r.npz")
    images = np.load(tmp_path / "r.npz")["images"]
    assert all(np.abs(x - row).sum(1).min() < 1e-3 for row in images[0])
    assert abs(sample_grid(model, 50).arrays()["images"][:, 0].mean() - 1e6) < 30


def test_a_model_of_before_goes_on_with_the_statistics_of_its_file_and_says_so(file, tmp_path):
    x = np.random.default_rng(0).normal([5, 100], [1, 10], (500, 2)).astype(np.float32)
    model = build(data={**file("a", x=x), "standardize": True}, decoder="gaussian", **SMALL)
    place = save(model, tmp_path / "model") / "model.json"
    old = place.read_text()
    old = re.sub(r",\s*\"shift\": \[[^]]*\],\s*\"scale\": \[[^]]*\]", "", old)
    head, dataset = old.split('"dataset"')
    place.write_text(head + '"dataset"' + dataset.replace('"revision": 2', '"revision": 1'))
    model = load(tmp_path / "model")
    assert model.data.scale == ()
    with pytest.warns(DataWarning, match="are not known"):
        found = open_dataset(model.spec, info=model.data).split("train").batch.x
    train_ = opened(file("a", x=x)).split("train").batch.x.double()
    expected = (train_ - train_.mean(0)) / train_.var(0, correction=0).sqrt()
    assert torch.equal(found, expected.float())


def test_statistics_that_cannot_be_are_refused():
    for shift, scale in (((0.0,), (1.0,)), ((0.0, 0.0), (1.0, 0.0)), ((math.nan, 0.0), (1.0, 1.0))):
        with pytest.raises(DataError):
            DataInfo((2,), -math.inf, math.inf, shift=shift, scale=scale)


# Classes by name.


def classes(names, n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = np.array([names[i % len(names)] for i in range(n)])
    centre = np.array([{"a": -3.0, "b": 0.0, "c": 3.0}.get(name, 9.0) for name in y])
    return {"x": (centre[:, None] + 0.1 * rng.standard_normal((n, 2))).astype(np.float32), "y": y}


@pytest.fixture
def conditional(file):
    model = build(data=file("abc", **classes("abc", 600)), condition="label", decoder="gaussian", **SMALL)
    train(model, steps=400, lr=5e-3, device="cpu")
    return model


def test_classes_are_matched_by_name(conditional, file):
    model = conditional
    data = opened(file("bc", **classes("bc")))
    assert elbo(model, data) > elbo(model, opened(file("abc", **classes("abc", 600)))) - 1
    assert elbo(model, data.split("test")) == elbo(model, data)
    train(model, data, steps=50, device="cpu")
    shown = {name: float(model.sample(20, condition=name, seed=0).mean()) for name in "abc"}
    assert shown == pytest.approx({"a": -3, "b": 0, "c": 3}, abs=0.7)
    unknown = refusal(lambda: evaluate(model, opened(file("bd", **classes("bd")))))
    assert "d" in unknown
    assert "a, b, c" in unknown
    assert "label" in refusal(lambda: evaluate(model, opened(file("none", x=classes("ab")["x"]))))


def test_factors_are_matched_by_name_in_any_order(file):
    rng = np.random.default_rng(0)
    x, colour, size = rng.random((60, 2)), np.array(["red", "green"] * 30), np.arange(60) % 3
    model = build(
        data={**file("one", x=x, colour=colour, size=size), "factors": ["colour", "size"]},
        condition="colour",
        **SMALL,
    )
    data = opened(file("two", x=x, colour=colour, size=size), factors=["size", "colour"])
    found = model.suited(data)
    assert [factor.name for factor in found.info.factors] == ["colour", "size"]
    own, other = (
        model.suited(opened(file("one", x=x, colour=colour, size=size), factors=["colour", "size"])),
        found,
    )
    assert torch.equal(own.split("train").batch.factors, other.split("train").batch.factors)
    assert torch.equal(model.context(own.split("train").batch), model.context(other.split("train").batch))
    blue = np.where(colour == "red", "blue", colour)
    assert "blue" in refusal(
        lambda: model.suited(opened(file("three", x=x, colour=blue, size=size), factors=["colour", "size"]))
    )
    assert "size" in refusal(
        lambda: model.suited(opened(file("one", x=x, colour=colour), factors=["colour"]))
    )


def test_a_class_that_the_model_never_saw_has_its_own_number(file):
    rng = np.random.default_rng(0)
    normal = rng.normal(0, 1, (200, 3))
    model = build(
        data=file("normal", x=normal, y=np.array(["normal"] * 200)),
        decoder={"name": "gaussian", "scale": 1.0},
        **SMALL,
    )
    y = np.array(["normal"] * 60 + ["broken"] * 60)
    x = np.concatenate([normal[:60], rng.normal(9, 1, (60, 3))])
    data = opened(file("both", x_train=x, y_train=y, x_test=x, y_test=y))
    for given in (data, data.split("test")):
        found = evaluate(model, given, ["anomaly[label=normal]", "anomaly[label=broken]"])
        assert found["anomaly[label=normal]"].value < 0.01
        assert found["anomaly[label=broken]"].value > 0.99
    labels = data.split("test").batch.labels
    assert "one" not in refusal(
        lambda: evaluate(model, TensorSplit(Batch(torch.from_numpy(x).float(), labels)))
    )
    drawn = latents_figure(model, data.split("test"), panels=["scatter"])
    assert sorted(drawn.arrays["labels"].unique().tolist()) == [0, 1]


# One check for everything.


def pictures(kind):
    bits = (np.random.default_rng(0).random((100, 1, 8, 8)) > 0.5).astype(np.uint8)
    return {
        "bits": bits,
        "bytes": 255 * bits,
        "floats": 255.0 * bits,
        "wide": np.concatenate([bits, bits], 3),
    }[kind]


@pytest.mark.parametrize("kind", ["bytes", "floats", "wide"])
def test_every_entrance_refuses_other_data(file, kind):
    model = build(data=file("bits", x=pictures("bits")), **SMALL)
    other = opened(file(kind, x=pictures(kind)))
    for use in (
        lambda: train(model, other, steps=1, device="cpu"),
        lambda: evaluate(model, other),
        lambda: evaluate(model, other.split("test")),
        lambda: fit_sampler(model, other, "gaussian"),
        lambda: latents_figure(model, other.split("train")),
        lambda: reconstruction_grid(model, other.split("test").batch.x),
        lambda: open_dataset(model.spec.with_options({"dataset.path": str(other.path)}), info=model.data),
    ):
        assert "2 levels" in refusal(use) or kind == "wide"


X = torch.tensor([[0.0, 1.0]])


@pytest.mark.parametrize(
    ("info", "x", "text"),
    [
        (DataInfo((2,)), torch.tensor([[0.0, 1.5]]), "from 0 to 1.5"),
        (DataInfo((2,)), torch.tensor([[0.0, math.nan]]), "NaN"),
        (DataInfo((2,), -math.inf, math.inf), torch.tensor([[0.0, math.inf]]), "infinite"),
        (DataInfo((2,), levels=17), torch.tensor([[0, 17]], dtype=torch.uint8), "17 levels"),
        (DataInfo((2,), -math.inf, math.inf), torch.tensor([[0, 1]]), "whole numbers"),
        (DataInfo((2,), 0, math.inf, counts=True), torch.tensor([[0.5, 1]]), "not whole"),
        (DataInfo((2,), 0, math.inf, counts=True), torch.tensor([[-1, 1]]), "counts"),
        (DataInfo((3,)), X, "shape"),
    ],
)
def test_values_of_another_kind_are_named(info, x, text):
    with pytest.raises(DataError, match=re.escape(text)):
        check_values(x, info)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (DataInfo((2,), missing=True), DataInfo((2,))),
        (DataInfo((2,), 0, math.inf, counts=True), DataInfo((2,), -math.inf, math.inf)),
        (DataInfo((2,), -math.inf, math.inf), DataInfo((2,), 0, math.inf, counts=True)),
        (DataInfo((2,), -1, 1, levels=3), DataInfo((2,), 0, 1, levels=3)),
        (DataInfo((2,), 0, 2), DataInfo((2,), 0, 1)),
        (DataInfo((2,), levels=256), DataInfo((2,), -math.inf, math.inf)),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(given, wanted):
    with pytest.raises(DataError, match="do not suit"):
        suited(TensorSplit(Batch(X), given), wanted)
    assert suited(TensorSplit(Batch(X.clamp(0, 1)), wanted), wanted).info == wanted


def test_narrower_data_suit(file):
    wide = DataInfo((2,), -math.inf, math.inf, missing=True, factors=(Factor("f", 2),))
    found = suited(TensorSplit(Batch(X), DataInfo((2,))), wide)
    assert suited(found, wide) is not None
    assert torch.equal(found.batch.x, X)


def test_what_is_read_batch_by_batch_is_looked_at(tmp_path):
    from genmod.plugins.datasets.shards import Shards

    np.save(tmp_path / "x.npy", np.concatenate([np.zeros((50, 2)), np.full((50, 2), 7.0)]).astype(np.float32))
    model = build(
        data={"name": "shards", "path": str(tmp_path), "low": 0, "high": 1, "in_memory": 0}, **SMALL
    )
    data = Shards(tmp_path, path=tmp_path, low=0, high=1, in_memory=0)
    with pytest.raises(DataError, match="from 0 to 7"):
        evaluate(model, data)


def test_the_command_line_refuses_with_two(file, tmp_path, capsys):
    from genmod.cli import main

    model = build(data=file("bits", x=pictures("bits")), **SMALL)
    place = save(model, tmp_path / "model")
    other = file("bytes", x=pictures("bytes"))["path"]
    for command in ("train", "evaluate", "fit-sampler", "report", "reconstruct", "latents"):
        with pytest.raises(SystemExit) as stopped:
            main([command, str(place), "-s", f"dataset.path={other}"])
        printed = capsys.readouterr().err
        assert stopped.value.code == 2, printed
        assert "256 levels" in printed
        assert "genmod build" in printed
