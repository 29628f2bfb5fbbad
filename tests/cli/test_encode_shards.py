"""``genmod encode`` into a folder: shards of codes, the same bytes however they were written."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import genmod as library
from genmod.data.code_folder import CODES, read_code_folder
from genmod.model.encode_shards import encode_shards

RNG = np.random.default_rng(3)
OPTIONS = ("--with", "scales", "--shard", "10", "-q")


@pytest.fixture
def model(genmod):
    """A model of 60 labelled pictures in the folder ``model``."""
    x = RNG.integers(0, 256, (60, 1, 4, 6)).astype(np.uint8)
    np.savez("x.npz", x=x, y=np.array(["cat", "dog", "owl"])[np.arange(60) % 3])
    made = library.build(
        data={"name": "npz", "path": "x.npz"},
        encoder={"name": "conv-map", "halve": 1, "width": 8},
        posterior="normal-map",
        decoder="gaussian",
        latent=3,
        seed=1,
    )
    library.save(made, "model")
    return made.eval()


def files(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def test_shards_have_the_codes_of_their_examples(genmod, model):
    done = genmod("encode", "model", "-o", "codes", *OPTIONS)
    assert (done.code, done.out) == (0, "codes\n")
    x, seen = np.load("x.npz")["x"], []
    names = read_code_folder(Path("codes")).data.classes
    for split, n in (("train", 48), ("validation", 6), ("test", 6)):
        shards = [load_file(f"codes/{split}/{i:06d}.safetensors") for i in range(-(-n // 10))]
        assert [len(shard["x"]) for shard in shards] == [min(10, n - i) for i in range(0, n, 10)]
        whole = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
        assert sorted(whole) == ["index", "labels", "scales", "x"]
        with torch.no_grad():
            q = model.encode(torch.from_numpy(x[whole["index"]]))
        np.testing.assert_allclose(whole["x"], q.mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(whole["scales"], q.stddev, rtol=1e-5, atol=1e-6)
        assert [names[i] for i in whole["labels"]] == [["cat", "dog", "owl"][i % 3] for i in whole["index"]]
        seen += whole["index"].tolist()
    assert sorted(seen) == [*range(60)]


def test_statistics_are_those_of_training(genmod, model):
    assert genmod("encode", "model", "-o", "codes", *OPTIONS).code == 0
    found = json.loads(Path("codes", CODES).read_text())
    shards = [load_file(f"codes/train/{i:06d}.safetensors") for i in range(5)]
    x, scales = (np.concatenate([shard[name] for shard in shards]).astype(float) for name in ("x", "scales"))
    np.testing.assert_allclose(found["data"]["shift"], x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["data"]["scale"], x.std((0, 2, 3)), rtol=1e-12)
    # Simulated: what the variance of draws is.
    draws = x + scales * np.random.default_rng(0).standard_normal((2000, *x.shape))
    np.testing.assert_allclose(found["scale_of_draws"], draws.std((0, 1, 3, 4)), rtol=5e-3)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(genmod, model, monkeypatch):
    assert genmod("encode", "model", "-o", "whole", *OPTIONS).code == 0
    from genmod.model import encode_shards as module

    write, count = module.write_tensors, iter(range(3))

    def killed(path, tensors):
        if next(count, None) is None:
            path.with_name(f".{path.name}.0a1b2c3d.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, tensors)

    monkeypatch.setattr(module, "write_tensors", killed)
    assert genmod("encode", "model", "-o", "codes", *OPTIONS).code == 130
    refused = genmod("build", "--data", "codes", "--encoder", "mlp", "-o", "never")
    assert (refused.code, "not complete" in refused.err) == (2, True)
    monkeypatch.setattr(module, "write_tensors", write)
    # One of the three is damaged too.
    path = Path("codes/train/000001.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = genmod("encode", "model", "-o", "codes", "--with", "scales", "--shard", "10")
    assert "2 of 7 files are there already" in done.err
    assert files("codes") == files("whole")


@pytest.mark.slow
def test_two_processes_write_what_one_does(genmod, model):
    import subprocess
    import sys

    assert genmod("encode", "model", "-o", "one", *OPTIONS).code == 0
    command = [
        sys.executable,
        "-P",
        "-m",
        "genmod",
        "encode",
        "model",
        "-o",
        "two",
        *OPTIONS,
        "--processes",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "two\n"), done.stderr
    assert files("one") == files("two")


def test_nothing_of_others_is_lost(genmod, model):
    os.makedirs("mine/train")
    Path("mine/train/notes.txt").write_text("mine")
    done = genmod("encode", "model", "-o", "mine", *OPTIONS)
    assert (done.code, "files, but none that says whose codes" in done.err) == (2, True)
    assert genmod("encode", "model", "-o", "codes", *OPTIONS).code == 0
    before = files("codes")
    done = genmod("encode", "model", "-o", "codes", "-q")
    assert (done.code, "with other options" in done.err, files("codes") == before) == (2, True, True)
    Path("codes/train/notes.txt").write_text("mine")
    assert genmod("encode", "model", "-o", "codes", "-q", "--overwrite").code == 0
    assert Path("codes/train/notes.txt").read_text() == "mine"
    assert sorted(files("codes")) == sorted(
        [
            CODES,
            "train/notes.txt",
            *(f"{split}/000000.safetensors" for split in ("train", "validation", "test")),
        ]
    )
    os.mkdir("theirs")
    Path("theirs", CODES).write_text('{"format": 1}')
    Path("theirs/000000.safetensors").write_text("theirs")
    before = files("theirs")
    done = genmod("encode", "model", "-o", "theirs", "-q", "--overwrite")
    assert (done.code, "genmod did not write it" in done.err, files("theirs") == before) == (2, True, True)
    assert genmod("encode", "model", "-o", "x.npz", "--shard", "3").code == 2
    assert genmod("encode", "model", "-o", "no/such", "-q").code == 2


def test_each_example_is_read_once(genmod, model):
    """But for the first one, on which it is tried what there is to write."""
    read = []

    class Counted(library.TensorSplit):
        def __getitems__(self, indices):
            read.extend(indices)
            return super().__getitems__(indices)

    split = Counted(library.Batch(torch.from_numpy(np.load("x.npz")["x"])))
    encode_shards(model, Path("codes"), {"all": (split, torch.arange(60))}, shard=7)
    assert sorted(read)[-59:] == [*range(1, 60)]
    assert read.count(0) <= 4


def test_one_split_of_pictures_in_files_knows_their_places_too(genmod):
    Path("photos").mkdir()
    for i in range(20):
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(f"photos/{i:02d}.png")
    library.save(library.build(data="photos", encoder={"name": "mlp", "hidden": [4]}, latent=2), "model")
    assert genmod("encode", "model", "-o", "whole", "-q").code == 0
    assert genmod("encode", "model", "-o", "part", "--split", "test", "-q").code == 0
    whole, part = (load_file(f"{place}/000000.safetensors") for place in ("whole/test", "part"))
    for name in ("index", "names", "x"):
        assert np.array_equal(whole[name], part[name])
