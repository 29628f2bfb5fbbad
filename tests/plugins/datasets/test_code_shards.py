"""Codes of a model as data: what ``genmod encode`` wrote, standardised, as means, draws or integers."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import genmod
from genmod import Batch, DataInfo, TensorSplit
from genmod.data.code_folder import CODES
from genmod.data.suited import suited
from genmod.errors import GenmodError
from genmod.model.encode_shards import encode_shards
from genmod.plugins.datasets.shards import Shards

INFO = DataInfo((1, 8, 8), levels=17, classes=("even", "odd"))


def written(folder, more=("scales",), splits=("train", "validation", "test"), **parts):
    parts = {"encoder": {"name": "conv-map", "width": 8}, "posterior": "normal-map", "latent": 3, **parts}
    model = genmod.build(**parts, seed=1)
    found = {}
    for name, n in zip(splits, (50, 8, 7), strict=False):
        x = torch.randint(0, 17, (n, 1, 8, 8), dtype=torch.uint8)
        found[name] = TensorSplit(Batch(x, torch.arange(n) % 2), INFO), torch.arange(n)
    encode_shards(model, folder, found, more=more, shard=20, draws=3 if "draws" in more else 1)
    return model, found


def opened(folder, **options):
    return Shards(folder, path=folder, **options)


def whole(split):
    return split.__getitems__(range(len(split)))


def test_codes_are_standardised_and_come_back(tmp_path):
    model, splits = written(tmp_path)
    data = opened(tmp_path, in_memory=0)
    assert (data.info.shape, data.info.classes[-2:]) == ((3, 2, 2), ("even", "odd"))
    for name, (split, _) in splits.items():
        batch = whole(data.split(name))
        with torch.no_grad():
            z = model.encode(split.batch.x).mean
        torch.testing.assert_close(data.info.original(batch.x).float(), z, rtol=1e-5, atol=1e-6)
        assert [data.info.classes[i] for i in batch.labels] == [INFO.classes[i] for i in split.batch.labels]
    x = whole(data.split("train")).x.double()
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(x.square().mean((0, 2, 3)), torch.ones(3).double(), rtol=1e-6, atol=0)
    every = whole(data.everything())
    for name in splits:
        assert torch.equal(every.x[data.places(name)], whole(data.split(name)).x)
    held = opened(tmp_path).split("train").in_memory()
    assert torch.equal(held.x, x.float())
    again = pickle.loads(pickle.dumps(data.split("test")))  # noqa: S301
    assert torch.equal(again.__getitems__([5, 1]).x, whole(data.split("test")).x[[5, 1]])


@pytest.mark.parametrize("more", ["scales", "draws"])
def test_training_on_draws(tmp_path, more):
    model, splits = written(tmp_path, more=(more,))
    data = opened(tmp_path, codes="draws")
    split = data.split("train")
    assert split.varies
    first = split.varied([3, 8, 5], seed=2, step=7)
    assert torch.equal(split.varied([5], seed=2, step=7).x[0], first.x[2])
    assert torch.equal(whole(split).x, whole(split).x)
    many = torch.stack([split.varied(range(50), seed=0, step=step).x for step in range(60)])
    assert len(many[:, 0].flatten(1).unique(dim=0)) == (60 if more == "scales" else 3)
    with torch.no_grad():
        q = model.encode(splits["train"][0].batch.x)
    z = data.info.original(many).float()
    if more == "scales":
        error = (z.mean(0) - q.mean) / (q.stddev / 60**0.5)
        assert abs(float(error.square().mean()) - 1) < 0.25
        assert abs(float((z.std(0) / q.stddev).mean()) - 1) < 0.02
        # Over all examples and draws, a channel has variance 1.
        spread = many.transpose(0, 2).flatten(1).std(1)
        torch.testing.assert_close(spread, torch.ones(3), rtol=0.03, atol=0)
    else:
        stored = torch.cat([load_file(p)["draws"] for p in sorted((tmp_path / "train").iterdir())])
        apart = (z[:, :, None] - stored).abs().flatten(3).amax(3).amin(2)
        assert float(apart.max()) < 1e-5


def test_without_splits_a_tenth_is_held_out(tmp_path):
    written(tmp_path, splits=("all",))
    data = opened(tmp_path)
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [40, 5, 5]
    os.mkdir(tmp_path / "other")
    with pytest.raises(GenmodError, match="no draws of a posterior"):
        _ = opened(tmp_path / "other", codes="draws").info


def test_means_alone_cannot_be_drawn(tmp_path):
    written(tmp_path, more=())
    with pytest.raises(GenmodError, match="--with scales"):
        _ = opened(tmp_path, codes="draws").info


def test_integers_of_a_codebook_are_levels(tmp_path):
    model, splits = written(tmp_path, more=(), posterior={"name": "vq", "codes": 300}, prior="pixelcnn")
    data = opened(tmp_path)
    assert (data.info.shape, data.info.levels, data.info.scale) == ((1, 2, 2), 300, ())
    batch = whole(data.split("train"))
    assert not batch.x.is_floating_point()
    with torch.no_grad():
        codes = model.encode(splits["train"][0].batch.x).codes
    assert torch.equal(batch.x[:, 0].long(), codes)
    with pytest.raises(GenmodError, match="integers of a codebook"):
        _ = opened(tmp_path, codes="draws").info
    again = genmod.build(data=str(tmp_path), encoder="mlp", decoder="categorical", latent=2)
    assert again.data.coded_by == data.info.coded_by
    assert again.sample(2, seed=0, noise=True).mul(299).sub_(1e-3).ceil().amax() < 300


def test_codes_of_other_weights_are_refused(tmp_path):
    written(tmp_path / "a")
    latent = genmod.build(data=str(tmp_path / "a"), encoder="mlp", latent=2)
    written(tmp_path / "b", latent=3, encoder={"name": "conv-map", "width": 4})
    with pytest.raises(GenmodError, match="codes of the weights"):
        genmod.evaluate(latent, str(tmp_path / "b"))
    assert genmod.evaluate(latent, str(tmp_path / "a"), metrics=["elbo"]).rows


def change(place, **values):
    plain = json.loads((place / CODES).read_text())
    (place / CODES).write_text(json.dumps({**plain, **values}))


def shard(place, change):
    path = place / "train" / "000001.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def linked(place):
    os.rename(place / "train" / "000000.safetensors", place / "moved")
    os.symlink(place / "moved", place / "train" / "000000.safetensors")


HOSTILE = {
    "shape": (
        lambda p: change(p, data={**json.loads((p / CODES).read_text())["data"], "shape": [3, 2, 9]}),
        "expected",
    ),
    "splits": (lambda p: change(p, splits={"train": 10**6}), "expected"),
    "untrained": (lambda p: change(p, splits={"validation": 8, "test": 7}), "no training split"),
    "many": (lambda p: change(p, splits={"train": 2**60}), "damaged"),
    "names": (lambda p: change(p, splits={"../train": 5}), "damaged"),
    "kind": (lambda p: change(p, kind="codes"), "damaged"),
    "scale": (lambda p: change(p, scale_of_draws=[0.0, 1.0, 1.0]), "damaged"),
    "text": (lambda p: (p / CODES).write_text("[1, 2]"), "damaged"),
    "large": (lambda p: (p / CODES).write_text(" " * 2_000_000), "too large"),
    "version": (lambda p: change(p, format=99), "upgrade"),
    "link": (linked, "link"),
    "pipe": (
        lambda p: (os.remove(p / "train/000000.safetensors"), os.mkfifo(p / "train/000000.safetensors")),
        "missing",
    ),
    "missing": (lambda p: os.remove(p / "train/000000.safetensors"), "missing"),
    "header": (lambda p: (p / "train/000000.safetensors").write_bytes(b"\xff" * 64), "cannot be read"),
    "labels": (lambda p: shard(p, lambda t: t["labels"].fill_(99)), "labels beyond"),
    "fewer": (lambda p: shard(p, lambda t: t.update(labels=t["labels"][:3].clone())), "labels"),
    "type": (lambda p: shard(p, lambda t: t.update(x=t["x"].long())), "expected|fit each other"),
    "nan": (lambda p: shard(p, lambda t: t["x"].fill_(float("nan"))), "NaN"),
}


def read(place):
    data = opened(place)
    return suited(data, data.info).split("train").__getitems__(range(50))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A folder of codes, to be copied."""
    place = tmp_path_factory.mktemp("codes")
    written(place)
    assert len(read(place)) == 50
    return place


@pytest.mark.parametrize("fault", HOSTILE)
def test_folders_that_lie_are_refused(tmp_path, honest, fault):
    place = Path(shutil.copytree(honest, tmp_path / "copy"))
    act, words = HOSTILE[fault]
    act(place)
    with pytest.raises(GenmodError, match=words):
        read(place)
