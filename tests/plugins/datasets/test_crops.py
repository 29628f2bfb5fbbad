"""Random crops: which part of a picture is taken depends on seed, step and picture alone."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import genmod
from genmod.errors import DataWarning, UsageError
from genmod.plugins.datasets._crop import Crop, framed
from genmod.plugins.datasets.image_folder import ImageFolder
from genmod.training.batches import Batches
from genmod.training.replay import replay
from genmod.training.signals import Interrupted

SPLITS = ("train", "validation", "test")


def places(height, width):
    """A picture whose first two colours are the place of each pixel."""
    y, x = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([y, x, np.full_like(x, height)], -1)


def folder(place, sizes, suffix="png"):
    place.mkdir(exist_ok=True)
    for i, size in enumerate(sizes):
        Image.fromarray(places(*size)).save(place / f"{i:02}.{suffix}")
    return place


@pytest.fixture
def mixed(tmp_path):
    """Pictures of many sizes, none below 12×10."""
    rng = np.random.default_rng(0)
    return folder(tmp_path / "mixed", [(12, 10), *rng.integers(12, 60, (23, 2)).tolist()])


def opened(place, **options):
    return ImageFolder(place, path=place, **{"crop": (12, 10), **options})


def corners(x):
    """Where crops of :func:`places` begin; they are parts of these, unchanged."""
    for each in x:
        rows, columns = each[0].int(), each[1].int()
        assert torch.equal(rows - rows[0, 0], torch.arange(rows.shape[0])[:, None].expand_as(rows).int())
        assert torch.equal(columns - columns[0, 0], torch.arange(rows.shape[1]).expand_as(rows).int())
    return x[:, :2, 0, 0].int()


def test_crops_are_parts_of_pictures_in_their_own_resolution(mixed):
    data = opened(mixed)
    assert data.info.shape == (3, 12, 10)
    train = data.split("train")
    heights = torch.tensor([size_of(mixed / name) for name in train.names])
    found = torch.stack(
        [corners(train.varied(range(len(train)), seed=0, step=step).x) for step in range(100)]
    )
    room = heights - torch.tensor([12, 10])
    assert (found >= 0).all()
    assert (found <= room).all()
    # Every place is as likely as any other: the mean of 100 draws of 0 … r lies within 5 standard errors of r / 2.
    error = ((room + 1.0) ** 2 - 1).div(12).sqrt() / 100**0.5
    assert ((found.float().mean(0) - room / 2).abs() <= 5 * error).all()
    few = room < 6
    assert (found.amin(0) == 0)[few].all()
    assert (found.amax(0) == room)[few].all()


def size_of(path):
    with Image.open(path) as image:
        return image.size[::-1]


def test_what_is_not_for_training_is_the_middle(mixed):
    data = opened(mixed)
    for split in (*map(data.split, SPLITS), data.everything()):
        assert split.varies == (split.names == data.split("train").names)
        sizes = torch.tensor([size_of(mixed / name) for name in split.names])
        away = 2 * corners(split.in_memory().x) - (sizes - torch.tensor([12, 10]))
        assert away.abs().max() <= 1
    validation = data.split("validation")
    assert torch.equal(validation.varied([1], seed=3, step=4).x, validation.__getitems__([1]).x)


def test_a_crop_depends_on_seed_step_and_picture_alone(mixed):
    train = opened(mixed).split("train")
    whole = train.varied(range(len(train)), seed=5, step=7).x
    torch.manual_seed(1)
    np.random.seed(1)
    for indices in ([3], [9, 3, 3], [*range(12)][::-1]):
        assert torch.equal(train.varied(indices, seed=5, step=7).x, whole[indices])
    assert not torch.equal(train.varied(range(12), seed=5, step=8).x, whole[:12])
    assert not torch.equal(train.varied(range(12), seed=6, step=7).x, whole[:12])
    assert torch.equal(opened(mixed).split("train").varied([4], seed=5, step=7).x, whole[[4]])


def test_pictures_have_crops_of_their_own(tmp_path):
    train = opened(folder(tmp_path / "alike", [(60, 60)] * 30)).split("train")
    found = corners(train.varied(range(len(train)), seed=0, step=0).x)
    assert len(found.unique(dim=0)) > 20


def test_workers_and_resumed_runs_read_the_same_crops(mixed):
    def batches(workers):
        return Batches(opened(mixed).split("train"), 4, seed=2, device=torch.device("cpu"), workers=workers)

    here, there = batches(0), batches(2)
    for step in (6, 7, 8, 2, 7):  # in mid-epoch, and from elsewhere
        assert torch.equal(here[step].x, there[step].x)
    there.close()
    corner = [tuple(here[step].x[:, :2, 0, 0].flatten().tolist()) for step in range(10)]
    assert len(set(corner)) == 10


def test_smaller_pictures_are_scaled_up_and_this_is_said(tmp_path):
    place = folder(tmp_path / "some", [(40, 40)] * 9 + [(20, 60)])
    data = opened(place, crop=30)
    with pytest.warns(DataWarning, match=r"1 of 10 pictures, such as 09.png of 20×60 pixels, are smaller"):
        assert data.info.shape == (3, 30, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        every = data.everything()
        assert ImageFolder(place, path=place, crop=30, scale=30).info.shape == (3, 30, 30)
    small = every.__getitems__([9]).x[0]
    # Half as large again: pixel i of the result lies at (i + 1/2) / 1.5 - 1/2 of the picture, where the value is the place.
    inner = torch.arange(3, 27)
    assert (small[0, 3:27, 15] - ((inner + 0.5) / 1.5 - 0.5)).abs().max() <= 1
    assert (small[1, 15, 3:27] - (20 + (inner + 0.5) / 1.5 - 0.5)).abs().max() <= 1


def test_scale_is_that_of_the_shorter_side(tmp_path):
    place = folder(tmp_path / "some", [(40, 80), (100, 50), (20, 30)])
    every = opened(place, crop=10, scale=20).everything().in_memory().x.float()
    steps = every[:, 0, -1, 0] - every[:, 0, 0, 0], every[:, 1, 0, -1] - every[:, 1, 0, 0]
    for step in steps:
        torch.testing.assert_close(step, torch.tensor([18.0, 22.5, 9.0]), atol=1, rtol=0)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_only_the_part_of_a_long_strip_is_scaled(size):
    strip = Image.new("L", size[::-1], 7)
    for crop in (Crop(), Crop(None, 0.0, 0.0), Crop(512, 0.999, 0.999)):
        found = framed(strip, (256, 256), crop)  # the whole would have 4 billion pixels
        assert found.size == (256, 256)
        assert found.getextrema() == (7, 7)


def test_deep_and_turned_pictures_are_cropped_as_they_are_shown(tmp_path):
    deep = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) * 50
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
    upright = np.rot90(deep, -1)
    data = ImageFolder(tmp_path, path=tmp_path, crop=(20, 10), channels=1)
    assert data.info.levels == 65536
    found = data.everything().__getitems__([0]).x[0, 0].numpy()
    assert np.array_equal(found, upright[10:30, 10:20])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"size": 8}, "one of them is allowed"),
        ({"scale": 11}, "less than the crop"),
        ({"crop": None, "scale": 9}, "no crop is asked for"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, problem):
    with pytest.raises(UsageError, match=problem) as raised:
        opened(tmp_path, **options)
    assert raised.value.hint


MODEL = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": "gaussian", "latent": 2}


def made(place, **more):
    part = {"name": "image-folder", "path": str(place), "crop": 10}
    return genmod.build(data=part, seed=1, **{**MODEL, **more})


def weights(model):
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def test_a_run_that_was_stopped_in_mid_epoch_ends_with_the_same_weights(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    how = {"steps": 14, "batch_size": 4, "workers": 2, "device": "cpu", "seed": 3}
    how["augment"] = ("random-horizontal-flip",)
    whole = made(mixed)
    genmod.train(whole, **how)
    stopped = made(mixed)
    terms, calls = stopped.terms, []

    def counted(*given):
        calls.append(1)
        if len(calls) == 8:  # an epoch has 5 steps
            os.kill(os.getpid(), signal.SIGTERM)
        return terms(*given)

    stopped.terms = counted
    with pytest.raises(Interrupted):
        genmod.train(stopped, directory=tmp_path / "run", **how)
    again = made(mixed)
    genmod.train(again, directory=tmp_path / "run", resume=True, **how)
    assert torch.equal(weights(again), weights(whole))


def test_a_step_is_replayed_with_its_own_crops(tmp_path):
    """A value that overflows lies in a corner, which the middle of the picture lacks."""
    place = tmp_path / "in"
    place.mkdir()
    for i in range(20):
        values = np.random.default_rng(i).normal(size=(16, 16)).astype(np.float32)
        values[0, 0] = 3e38
        Image.fromarray(values).save(place / f"{i}.tiff")
    part = {"name": "image-folder", "path": str(place), "crop": 9, "channels": 1}
    model = genmod.save(genmod.build(data=part, seed=1, **MODEL), tmp_path / "m")
    with pytest.raises(genmod.GenmodError, match="not finite") as raised:
        genmod.train(genmod.load(model), directory=model, batch_size=4, steps=100, device="cpu", seed=1)
    data = genmod.open_dataset(genmod.load(model).spec, info=genmod.load(model).data)
    assert replay(model, data).split(": ")[1] in raised.value.message


@pytest.mark.slow
def test_killed_runs_and_two_processes_see_the_same_crops(mixed, tmp_path):
    def command(*arguments):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return {"args": [sys.executable, "-P", "-m", "genmod", *arguments], "cwd": tmp_path, **quiet}

    how = ["--steps", "60", "--batch-size", "4", "--device", "cpu", "--workers", "2"]
    how += ["--checkpoint-every", "3"]
    for name in ("one", "killed", "two"):
        genmod.save(made(mixed), tmp_path / name)
    for name, more in (("one", []), ("two", ["--processes", "2"])):
        subprocess.run(**command("train", name, *how, *more), check=True)
    with subprocess.Popen(**command("train", "killed", *how)) as killed:
        while not any((tmp_path / "killed" / "checkpoints").glob("step-*")):
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
    subprocess.run(**command("train", "killed", "--resume"), check=True)
    names = ("one", "killed", "two")
    one, again, two = (weights(genmod.load(tmp_path / name, weights="last")) for name in names)
    assert torch.equal(one, again)
    assert (one - two).abs().max() < 1e-6
