"""SIGKILL while a trained model is overwritten, a sampler fitted again, a sweep run: nothing is lost."""

import os
import random
import signal
import time

import pytest
import torch

import genmod
from genmod.bundle.directory import ModelDirectory
from genmod.bundle.sampler import read_origin, save_sampler

TRAIN = ["--steps", "40", "--batch-size", "64", "--device", "cpu", "--film-every", "0", "-q"]


@pytest.fixture
def trained(fresh):
    directory = fresh("here")
    model = genmod.load(directory)
    genmod.train(model, directory=directory, steps=5, device="cpu", film_every=0)
    save_sampler(genmod.fit_sampler(model, sampler="gaussian"), directory)
    return directory


def killed(server, directory, arguments, seconds):
    """Kill a command some time after it has begun; its exit code."""
    pid = server.start(directory, arguments=list(map(str, arguments)))
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return server.wait()


def is_whole(directory, draws):
    """Whether the model that was trained first can still be loaded, with its sampler."""
    try:
        return torch.equal(genmod.load(directory).sample(3, seed=0), draws)
    except genmod.GenmodError:
        return False


def overwrite_often(server, trained, kills):
    began = time.monotonic()
    assert server.run(trained, arguments=["train", str(trained), "--overwrite", *TRAIN]) == 0
    whole = time.monotonic() - began  # on this machine, as busy as it is
    moments, draws = random.Random(1), genmod.load(trained).sample(3, seed=0)
    mid = 0
    for _ in range(kills):
        arguments = ["train", trained, "--overwrite", *TRAIN]
        code = killed(server, trained, arguments, moments.uniform(0.0, whole))
        assert code in (0, -signal.SIGKILL)
        places = [trained, *(path for path in trained.iterdir() if path.name.startswith("before-"))]
        finished = ModelDirectory(trained).read_record().get("status") == "finished"
        if finished and not is_whole(trained, draws):
            # The new run has finished; of several models from before it may have removed some.
            draws = genmod.load(trained).sample(3, seed=0)
            continue
        assert any(is_whole(place, draws) for place in places)
        mid += len(places) > 1
    assert server.run(trained, arguments=["train", str(trained), "--overwrite", *TRAIN]) == 0
    assert not [path for path in trained.iterdir() if path.name.startswith(("before-", "."))]
    return mid


def fit_often(server, trained, kills):
    moments = random.Random(2)
    arguments = ["fit-sampler", trained, "--sampler", "gmm", "--overwrite", "--device", "cpu", "-q"]
    assert server.run(trained, arguments=list(map(str, arguments))) == 0
    for _ in range(kills):
        assert killed(server, trained, arguments, moments.uniform(0.0, 1.5)) in (0, -signal.SIGKILL)
        assert read_origin(trained).component.name in (
            "gaussian",
            "gmm",
            "genmod-torch/gmm",
            "genmod-torch/gaussian",
        )
        assert genmod.load(trained).sample(3, seed=0).shape == (3, 1, 8, 8)
    assert server.run(trained, arguments=list(map(str, arguments))) == 0
    assert len(list((trained / "sampler").iterdir())) == 2


def sweep_often(server, tmp_path, kills):
    moments, place = random.Random(3), tmp_path / "sweep"
    arguments = [
        "sweep",
        "-s",
        "objective.beta=1,2",
        "-s",
        "encoder=mlp",
        "-s",
        "train.steps=30",
        "-o",
        place,
        "-q",
    ]
    done = {}
    for _ in range(kills):
        assert killed(server, tmp_path / "x", arguments, moments.uniform(0.2, 2.5)) in (0, -signal.SIGKILL)
        for point in place.iterdir() if place.exists() else ():
            if (
                ModelDirectory(point).is_trained
                and ModelDirectory(point).read_record()["status"] == "finished"
            ):
                weights = (point / "model.safetensors").read_bytes()
                assert done.setdefault(point.name, weights) == weights
    assert server.run(tmp_path / "x", arguments=list(map(str, arguments))) == 0
    assert len(list(place.iterdir())) == 2


def test_a_kill(server, trained):
    overwrite_often(server, trained, 1)


@pytest.mark.slow
def test_three_kills_of_each(server, trained):
    overwrite_often(server, trained, 3)
    fit_often(server, trained, 3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thirty_kills_of_each(server, trained, tmp_path):
    assert overwrite_often(server, trained, 30) >= 3
    fit_often(server, trained, 30)
    sweep_often(server, tmp_path, 30)
