"""``genmod encode``: a row of codes for each row of a file, in its order."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

import genmod as library

RNG = np.random.default_rng(3)


@pytest.fixture
def table(genmod):
    """A file of 30 rows with labels, and a model of tables in the folder ``model``."""
    np.savez("x.npz", x=RNG.normal(3, 2, (30, 4)).astype(np.float32), y=np.arange(30) % 3)
    return build("npz", "x.npz", decoder="gaussian")


def build(dataset, path, directory="model", recipe="vae", **parts):
    made = library.build(
        recipe,
        data={"name": dataset, "path": path, **parts.pop("options", {})},
        **{"encoder": "mlp", "latent": 2, **parts},
        seed=1,
    )
    library.save(made, directory)
    return made.eval()


def one_by_one(model, x):
    with torch.no_grad():
        return np.concatenate([model.encode(torch.from_numpy(x[i : i + 1])).mean for i in range(len(x))])


@pytest.mark.parametrize("rows", [1, 30, 1100])
def test_every_row_of_a_file_is_the_mean_of_its_posterior(genmod, table, rows):
    x = RNG.normal(3, 2, (rows, 4)).astype(np.float32)
    np.savez("new.npz", x=x)
    done = genmod("encode", "model", "new.npz", "-o", "z.npy", "-q")
    assert (done.code, done.out, done.err) == (0, "z.npy\n", "")
    z = np.load("z.npy")
    assert (z.dtype, z.shape) == (np.float32, (rows, 2))
    np.testing.assert_allclose(z, one_by_one(table, x), rtol=1e-6, atol=1e-6)


def test_without_a_file_all_splits_or_one_in_the_order_of_the_file(genmod, table):
    x = np.load("x.npz")["x"]
    every = one_by_one(table, x)
    assert genmod("encode", "-o", "all.npz").code == 0
    assert np.allclose(np.load("all.npz")["means"], every, rtol=1e-6, atol=1e-6)
    seen = []
    for split in ("train", "validation", "test"):
        assert genmod("encode", "-o", f"{split}.npz", "--split", split).code == 0
        found = np.load(f"{split}.npz")
        assert found["index"].tolist() == sorted(found["index"].tolist())
        assert np.allclose(found["means"], every[found["index"]], rtol=1e-6, atol=1e-6)
        seen += found["index"].tolist()
    assert sorted(seen) == [*range(30)]
    done = genmod("encode", "model", "x.npz", "-o", "z.npy", "--split", "test")
    assert (done.code, "all of its rows" in done.err) == (2, True)


def test_scales_and_draws_beside_the_means(genmod, table):
    command = ("encode", "model", "x.npz", "--with", "scales,draws", "--draws", "3")
    assert genmod(*command, "-o", "z.npz").err.endswith("seed 0\n")
    found = dict(np.load("z.npz"))
    with torch.no_grad():
        q = table.encode(torch.from_numpy(np.load("x.npz")["x"]))
    assert np.allclose(found["scales"], q.stddev, rtol=1e-5)
    assert found["draws"].shape == (30, 3, 2)
    noise = (found["draws"] - found["means"][:, None]) / found["scales"][:, None]
    assert np.unique(noise.round(4)).size == noise.size
    assert abs(noise.mean()) < 4 / noise.size**0.5
    assert genmod(*command, "-o", "again.npz", "--seed", "0").code == 0
    assert np.array_equal(np.load("again.npz")["draws"], found["draws"])
    assert genmod(*command, "-o", "other.npz", "--seed", "1").code == 0
    assert not np.allclose(np.load("other.npz")["draws"], found["draws"])
    assert genmod(*command, "-o", "z.csv").code == 0
    with open("z.csv", newline="") as lines:
        head, *rows = csv.reader(lines)
    assert head == [
        *("index", "z0", "z1", "z0_scale", "z1_scale"),
        *("z0_draw0", "z1_draw0", "z0_draw1", "z1_draw1", "z0_draw2", "z1_draw2"),
    ]
    flat = [found[name].reshape(30, -1) for name in ("means", "scales", "draws")]
    assert np.array_equal(np.float32([row[1:] for row in rows]), np.concatenate(flat, 1))


def test_pictures_by_the_names_of_their_files(genmod):
    for i in range(6):
        os.makedirs(f"photos/{'ab'[i % 2]}", exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(f"photos/{'ab'[i % 2]}/{i}.png")
    model = build("image-folder", "photos", decoder="gaussian")
    os.makedirs("new")
    os.rename("photos/b/3.png", "new/only.png")
    assert genmod("encode", "model", "photos", "-o", "z.parquet").code == 0
    table = pyarrow.parquet.read_table("z.parquet").to_pandas()
    assert table["name"].tolist() == ["a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/5.png"]
    pictures = [np.asarray(Image.open(f"photos/{name}")).transpose(2, 0, 1) for name in table["name"]]
    expected = one_by_one(model, np.stack(pictures))
    assert np.allclose(table[["z0", "z1"]], expected, rtol=1e-6, atol=1e-6)
    assert genmod("encode", "model", "new", "-o", "z.npz").code == 0
    assert np.load("z.npz")["name"].tolist() == ["only.png"]


def test_a_codebook_gives_integers(genmod):
    model = library.build("vq-vae", seed=1)
    library.save(model, "model")
    assert genmod("encode", "-o", "z.npy", "--split", "validation").code == 0
    z = np.load("z.npy")
    assert (z.dtype, z.shape[1:]) == (np.int64, (2, 2))
    data = library.open_dataset(model.spec).split("validation")
    with torch.no_grad():
        assert np.array_equal(z, model.eval().encode(data.batch.x).codes)


def test_where_there_is_no_mean_there_are_draws_and_it_is_said(genmod):
    library.save(library.build(encoder="mlp", posterior="flow", divergence="kl-mc"), "model")
    done = genmod("encode", "-o", "z.npz", "--split", "test")
    assert "draws, for posterior 'flow' has no known mean; seed 0" in done.err
    assert set(np.load("z.npz")) == {"index", "draws"}
    assert "are not known" in genmod("encode", "-o", "s.npz", "--with", "scales").err


def test_the_condition_comes_from_the_data(genmod, table):
    model = build("npz", "x.npz", "conditional", decoder="gaussian", condition="label")
    # Their classes are in another order than those of the model.
    x = np.load("x.npz")["x"][:2]
    np.savez("new.npz", x=x, y=[2, 1])
    assert genmod("encode", "conditional", "new.npz", "-o", "z.npy").code == 0
    with torch.no_grad():
        q = model.encode(torch.from_numpy(x), torch.eye(3)[[2, 1]])
    assert np.allclose(np.load("z.npy"), q.mean, rtol=1e-6, atol=1e-6)
    np.savez("bare.npz", x=x)
    done = genmod("encode", "conditional", "bare.npz", "-o", "bare.npy")
    assert (done.code, "conditioned on label" in done.err) == (2, True)
    assert not os.path.exists("bare.npy")


def test_a_new_file_is_standardised_as_the_model_was(genmod, table):
    model = build("npz", "x.npz", "scaled", decoder="gaussian", options={"standardize": True})
    x = np.load("x.npz")["x"]
    np.savez("far.npz", x=x[:2] + 100)
    assert genmod("encode", "scaled", "far.npz", "-o", "z.npy").code == 0
    inner = (x[:2] + 100 - np.array(model.data.shift)) / np.array(model.data.scale)
    assert np.allclose(np.load("z.npy"), one_by_one(model, inner.astype(np.float32)), rtol=1e-5, atol=1e-5)


def test_what_is_refused(genmod, table):
    np.savez("wide.npz", x=RNG.normal(size=(5, 7)))
    for words, text in (
        (("wide.npz", "-o", "z.npy"), "examples of shape (4,), these have (7,)"),
        (("none.npz", "-o", "z.npy"), "there is no"),
        (("x.npz", "-o", "z.npy", "--with", "scales"), "holds one array"),
        (("x.npz", "-o", "z.npz", "--with", "sizes"), "no 'sizes'"),
        (("x.npz", "-o", "z.png"), "no known format"),
        (("x.npz", "-o", "x.npz"), "exists"),
    ):
        done = genmod("encode", "model", *words)
        assert (done.code, text in done.err) == (2, True), done.err
    library.save(library.build(encoder="mlp"), "digits")
    done = genmod("encode", "digits", "x.npz", "-o", "z.npy")
    assert (done.code, "these have (4,)" in done.err) == (2, True)
    assert sorted(os.listdir()) == ["digits", "model", "wide.npz", "x.npz"]


@pytest.mark.slow
def test_a_million_rows_take_less_than_a_gibibyte(genmod, tmp_path):
    """In a process of its own, whose peak is asked of the system."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("the system does not say how much memory a process had")
    file = np.lib.format.open_memmap("big.npy", "w+", np.float32, (1_000_000, 32))
    for start in range(0, len(file), 100_000):
        file[start : start + 100_000] = RNG.normal(size=(100_000, 32))
    del file
    build("shards", "big.npy", decoder="gaussian", latent=16)
    for suffix in ("npy", "npz", "csv", "parquet"):
        code = (
            "import sys\nfrom genmod.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as e:\n"
            "    assert not e.code\nprint(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        command = [sys.executable, "-c", code, "encode", "model", "big.npy", "-o", f"z.{suffix}", "-q"]
        done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, check=True)
        # The peak that getrusage knows is that of the process that started it, too.
        assert int(done.stdout.split()[-2]) * 1024 < 2**30, suffix

    z, some = np.load("z.npy", mmap_mode="r"), [0, 499_999, 999_999]
    assert z.shape == (1_000_000, 16)
    model = library.load("model")
    assert np.allclose(z[some], one_by_one(model, np.load("big.npy", mmap_mode="r")[some]), atol=1e-6)


def test_the_picture_of_some_codes_says_where_all_of_them_are(genmod, table):
    done = genmod("latents", "-n", "20", "--split", "train", "--panel", "scatter", "-o", "some.npz")
    assert "codes, of examples drawn from 24; all of them in their order: " in done.err
    assert "genmod encode model --split train -o FILE\n" in done.err
    assert "genmod encode" not in genmod("latents", "--split", "train", "--panel", "scatter", "-n", "16").err
