"""``genmod sample``, ``reconstruct``, ``interpolate`` and ``traverse``."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import genmod as library
from genmod.errors import UndefinedError
from genmod.figures import choose_examples, codes, interpolation, panels, reconstruction_grid, worst_grid
from genmod.model.assembly import open_dataset

COMMANDS = {
    "sample": "samples",
    "reconstruct": "reconstructions",
    "interpolate": "interpolations",
    "traverse": "traversals",
}
"""Command → its file in the model's own folder of pictures."""

WITH_DATA = ("reconstruct", "interpolate", "traverse")


@pytest.fixture
def model(genmod):
    """A model in the default directory; the command line stands in the folder around it."""
    made = library.build(encoder="mlp", latent=3, settings={"encoder.hidden": [16]}, seed=1)
    library.save(made, "model")
    return made.eval()


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("command", COMMANDS)
def test_default(genmod, model, tmp_path, command):
    done = genmod(command)
    assert (done.code, done.out) == (0, f"model/samples/{COMMANDS[command]}.png\n")
    assert done.err.endswith("seed 0\n")
    path = tmp_path / "here" / done.out.strip()
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 100
    first = digest(path)
    # Its own picture may be replaced, by the same one; another seed makes another.
    assert genmod(command, "-q").err == ""
    assert digest(path) == first
    assert genmod(command, "--seed", 5).err.endswith("seed 5\n")
    assert digest(path) != first
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("suffix", [".png", ".npz", ".safetensors", ".PNG"])
def test_formats(genmod, model, tmp_path, command, suffix):
    done = genmod(command, "model", "-o", f"x{suffix}", "-n", 2)
    assert (done.code, done.out) == (0, f"x{suffix}\n")
    path = tmp_path / "here" / f"x{suffix}"
    if suffix.lower() == ".png":
        with Image.open(path) as image:
            image.load()
        return
    found = arrays(path) if suffix == ".npz" else load_file(path)
    assert {"images", "latents"} <= set(found)
    assert found["images"].shape[-3:] == (1, 8, 8)
    assert found["latents"].shape[-1] == 3
    assert not (tmp_path / "here" / "model" / "samples").exists()


def test_samples_are_those_of_the_library(genmod, model):
    genmod("sample", "-n", 7, "--seed", 3, "-o", "a.npz")
    assert torch.equal(arrays("a.npz")["images"], model.sample(7, seed=3))
    genmod("sample", "-n", 7, "--seed", 3, "--noise", "-o", "b.npz")
    assert torch.equal(arrays("b.npz")["images"], model.sample(7, seed=3, noise=True))


def test_reconstructions_are_those_of_the_library(genmod, model):
    genmod("reconstruct", "-n", 4, "--split", "validation", "--seed", 2, "-o", "a.npz")
    batch = choose_examples(open_dataset(model.spec).split("validation"), 4, seed=2)
    wanted = reconstruction_grid(model, batch.x, seed=2)
    found = arrays("a.npz")
    assert torch.equal(found["images"], wanted.images)
    assert torch.equal(found["labels"], batch.labels)
    genmod("reconstruct", "-n", 4, "--seed", 2, "-o", "b.npz")
    assert not torch.equal(arrays("b.npz")["images"], wanted.images)


def test_worst_reconstructions_are_those_of_the_library(genmod, model, tmp_path):
    done = genmod("reconstruct", "--worst", 3, "--split", "validation", "-o", "a.npz")
    assert done.code == 0
    wanted = worst_grid(model, open_dataset(model.spec).split("validation"), 3)
    assert torch.equal(arrays("a.npz")["images"], wanted.images)
    assert torch.equal(arrays("a.npz")["indices"], wanted.extra["indices"])
    assert genmod("reconstruct", "--worst", 3).out == "model/samples/worst.png\n"
    done = genmod("reconstruct", "--worst", 3, "-n", 4)
    assert (done.code, "leave out -n" in done.err) == (2, True)
    done = genmod("reconstruct", "--worst", 3, "-o", "a.csv")
    assert (done.code, "is for rows" in done.err) == (2, True)


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolations_are_those_of_the_library(genmod, model, spherical):
    ways = ["--spherical"] if spherical else []
    genmod("interpolate", "--rows", 3, "--steps", 4, *ways, "-o", "a.npz")
    batch = choose_examples(open_dataset(model.spec).split("test"), 6)
    z = codes(model, batch.x)
    wanted = interpolation(model, z[:3], z[3:], steps=4, spherical=spherical)
    assert torch.equal(arrays("a.npz")["images"], wanted.images)
    assert torch.equal(arrays("a.npz")["latents"], wanted.latents)


def test_interpolation_between_draws_from_the_prior(genmod, model):
    genmod("interpolate", "--from-prior", "-n", 3, "--steps", 4, "-o", "a.npz")
    genmod("sample", "-n", 6, "-o", "b.npz")
    found, drawn = arrays("a.npz"), arrays("b.npz")
    assert torch.equal(found["latents"][:, 0], drawn["latents"][:3])
    assert torch.equal(found["latents"][:, -1], drawn["latents"][3:])


def test_traversal_of_named_dimensions(genmod, model):
    done = genmod("traverse", "--dims", "2,0", "--steps", 5, "--range", 2, "-o", "a.npz")
    assert done.code == 0, done.err
    found = arrays("a.npz")
    assert found["dimensions"].tolist() == [2, 0]
    assert found["values"].tolist() == [[-2, -1, 0, 1, 2]] * 2
    start = codes(model, choose_examples(open_dataset(model.spec).split("test"), 1).x)[0]
    for row, dimension in enumerate([2, 0]):
        moved = found["latents"][row]
        assert torch.equal(moved[:, dimension], found["values"][row])
        others = [d for d in range(3) if d != dimension]
        torch.testing.assert_close(moved[:, others], start[others].expand(5, 2))


def test_traversal_of_the_dimensions_that_say_most(genmod, model):
    with torch.no_grad():
        model.posterior.head.weight[1] *= 50
    library.save(model, "model")
    genmod("traverse", "-n", 2, "-o", "a.npz")
    found = arrays("a.npz")["dimensions"].tolist()
    assert (found[0], len(found)) == (1, 2)
    genmod("traverse", "--from-prior", "-o", "b.npz")
    assert arrays("b.npz")["dimensions"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("command", ["interpolate", "traverse"])
def test_from_the_prior_no_data_are_read(genmod, model, tmp_path, command):
    table = tmp_path / "here" / "table.npz"
    np.savez(table, x=np.random.default_rng(0).normal(size=(50, 12)).astype("float32"))
    assert genmod("build", "--data", "npz", "-s", f"dataset.path={table}", "--encoder", "mlp",
                  "--decoder", "gaussian", "--latent", 2, "-o", "other").code == 0  # fmt: skip
    assert genmod(command, "other", "-n", 2).code == 0
    table.unlink()
    done = genmod(command, "other", "-n", 2)
    assert done.code == 2
    assert "table.npz" in done.err
    assert genmod(command, "other", "-n", 2, "--from-prior").code == 0


def test_options_of_the_dataset(genmod, model, tmp_path):
    """A table that was moved; and one of another width."""
    generator = np.random.default_rng(0)
    for name, columns in (("a", 3), ("b", 3), ("c", 4)):
        np.savez(f"{name}.npz", x=generator.normal(size=(50, columns)).astype("float32"))
    genmod("build", "--data", "npz", "-s", "dataset.path=a.npz", "--encoder", "mlp", "--decoder",
           "gaussian", "-o", "other")  # fmt: skip
    for name in ("a", "b"):
        assert (
            genmod("reconstruct", "other", "-s", f"dataset.path={name}.npz", "-o", f"{name}-r.npz").code == 0
        )
    assert not torch.equal(arrays("a-r.npz")["images"], arrays("b-r.npz")["images"])
    done = genmod("reconstruct", "other", "-s", "dataset.path=c.npz")
    assert done.code == 2
    assert "(3,)" in done.err
    assert "(4,)" in done.err
    done = genmod("reconstruct", "other", "-s", "dataset.colour=1")
    assert done.code == 2
    assert "dataset.colour: no such option" in done.err


def test_autoencoder(genmod, tmp_path):
    """No prior: nothing to sample, everything else works, traversals by the spread of the codes."""
    genmod("build", "autoencoder", "--encoder", "mlp", "--latent", 2)
    done = genmod("sample")
    assert done.code == 2
    assert "no prior" in done.err
    assert "hint: " in done.err
    assert not (tmp_path / "here" / "model" / "samples").exists()
    for command in WITH_DATA:
        assert genmod(command).code == 0
    for command in ("interpolate", "traverse"):
        assert genmod(command, "--from-prior").code == 2
    genmod("traverse", "-o", "a.npz", "--steps", 3)
    assert arrays("a.npz")["values"].abs().max() != 3


def test_untrained_models_are_shown_with_a_warning(genmod, model):
    done = genmod("sample")
    assert done.code == 0
    assert done.err.startswith("warning: model records no training run")
    assert "genmod train model" in done.err
    genmod("train", "--steps", 1, "--device", "cpu")
    assert genmod("sample").err == "latents from the prior, normal\nseed 0\n"


# What cannot be


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_or_damaged_model(genmod, tmp_path, command):
    done = genmod(command, "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "there is no model directory nowhere" in done.err
    assert "genmod build -o nowhere" in done.err
    (tmp_path / "here" / "empty").mkdir()
    done = genmod(command, "empty")
    assert done.code == 2
    assert "empty has no model.json" in done.err
    assert "genmod build" in done.err
    library.save(library.build(encoder="mlp"), "model")
    (tmp_path / "here" / "model" / "model.safetensors").write_bytes(b"short")
    done = genmod(command)
    assert done.code == 2
    assert "model.safetensors is damaged" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_what_exists_is_not_overwritten(genmod, model, tmp_path, command):
    path = tmp_path / "here" / "mine.png"
    path.write_text("mine")
    done = genmod(command, "-o", "mine.png")
    assert (done.code, done.out) == (2, "")
    assert "mine.png exists" in done.err
    assert "--overwrite" in done.err
    assert path.read_text() == "mine"
    assert genmod(command, "-o", "mine.png", "--overwrite").code == 0
    with Image.open(path) as image:
        image.load()
    # A link that leads nowhere is something, too.
    os.symlink("gone", tmp_path / "here" / "link.png")
    assert genmod(command, "-o", "link.png").code == 2


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("a.jpg", "a.jpg says no known format by its suffix '.jpg'"),
        ("a", "says no known format"),
        ("missing/a.png", "there is no folder missing"),
        ("folder.png", "folder.png is a folder"),
    ],
)
def test_files_that_cannot_be_are_refused_before_any_work(genmod, tmp_path, out, message):
    (tmp_path / "here" / "folder.png").mkdir()
    for command in COMMANDS:
        done = genmod(command, "nowhere", "-o", out, "--overwrite")
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert "hint: " in done.err


def test_full_disk(genmod, model, tmp_path, monkeypatch):
    """The picture that was there stays, and nothing beside it."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model/samples/samples.png")

    before = genmod("sample")
    path = tmp_path / "here" / before.out.strip()
    first = digest(path)
    monkeypatch.setattr(os, "fsync", refuse)
    done = genmod("sample", "--seed", 1)
    assert done.code == 1
    assert "No space left on device" in done.err
    assert digest(path) == first
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sample -n 0", "-n"),
        ("sample -n many", "-n"),
        ("sample --seed -1", "--seed"),
        ("sample --device gpu", "'gpu' is not a device"),
        ("sample --device cuda:99", "this machine has no device 'cuda:99'"),
        ("reconstruct -n 0", "-n"),
        ("reconstruct --split all", "'train', 'validation', 'test'"),
        ("reconstruct -s encoder.hidden=3", "encoder.hidden cannot be set"),
        ("reconstruct -s dataset", "KIND.OPTION=VALUE"),
        ("interpolate --steps 1", "--steps"),
        ("interpolate --rows 0", "--rows"),
        ("traverse --dims 0,x", "'0,x' is not a list of whole numbers"),
        ("traverse --dims 0,3", "no dimension 3"),
        ("traverse --dims=-1", "no dimension -1"),
        ("traverse --steps 1", "--steps"),
        ("traverse --range -1", "--range"),
    ],
)
def test_arguments_that_cannot_be(genmod, model, tmp_path, arguments, message):
    done = genmod(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "hint: " in done.err
    assert not (tmp_path / "here" / "model" / "samples").exists()


# Walks that move, and latents


def test_walks_that_move(genmod, model):
    for command, frames in (("interpolate", 8), ("traverse", 8)):
        for suffix in ("gif", "apng"):
            done = genmod(command, "-n", 2, "--steps", 5, "-o", f"{command}.{suffix}")
            assert (done.code, done.out) == (0, f"{command}.{suffix}\n")
            with Image.open(f"{command}.{suffix}") as film:
                # There and back, both ends once.
                assert film.n_frames == frames
    for command in ("sample", "reconstruct"):
        assert "a.gif says no known format" in genmod(command, "-o", "a.gif").err


def test_temperature(genmod, model):
    genmod("sample", "-n", 4, "-o", "a.npz")
    done = genmod("sample", "-n", 4, "--temperature", "0.5", "-o", "b.npz")
    torch.testing.assert_close(arrays("b.npz")["latents"], arrays("a.npz")["latents"] / 2)
    assert "latents from the prior, normal, temperature 0.5\n" in done.err
    assert genmod("sample", "--temperature", "0").code == 2


def test_gaps_that_are_not_measured_are_not_said_to_be_missing(genmod, model, monkeypatch):
    def undefined(scene):
        raise UndefinedError("distances mean nothing")

    monkeypatch.setitem(panels.MAKERS, "gaps", undefined)
    done = genmod("latents", "-n", 40, "--panel", "kl,gaps")
    assert done.code == 0, done.err
    assert "gaps are not measured: distances mean nothing\n" in done.err


def test_latents(genmod, model, tmp_path):
    done = genmod("latents", "-n", 40, "--panel", "kl,gaps")
    assert (done.code, done.out) == (0, "model/samples/latents.png\n")
    assert "% of draws from the prior" in done.err
    with Image.open(tmp_path / "here" / done.out.strip()) as image:
        assert min(image.size) > 300
    done = genmod("latents", "-n", 40, "--panel", "kl,gaps", "-o", "a.npz", "--json")
    printed = json.loads(done.out)
    assert printed["left_out"] == {}
    assert {"codes", "kl", "gap", "labels", "path_images"} <= set(arrays("a.npz"))
    torch.testing.assert_close(arrays("a.npz")["gap"][0], torch.tensor(printed["gap"]["share"]))
    for arguments, message in (
        (["--panel", "map"], "no such panel: 'map'"),
        (["--panel", "manifold"], "a manifold is drawn of two dimensions"),
        (["--colour-by", "size"], "hint: one of: label"),
        (["-o", "a.jpg"], "says no known format"),
        (["-o", "a.npz"], "a.npz exists"),
    ):
        done = genmod("latents", "-n", 40, *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert message in done.err


def test_what_a_notebook_sets_for_its_own_pictures_is_nothing_to_a_command(genmod, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://of_a_notebook_that_is_not_here")
    assert genmod("list", "encoder").code == 0
    assert os.environ["MPLBACKEND"] == "agg"
