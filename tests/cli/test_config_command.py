"""Settings from files, in the commands that take them; ``genmod config``."""

import json
import os
from pathlib import Path

import pytest

SMALL = (
    "[train]\nsteps = 3\ndevice = 'cpu'\nbatch-size = 32\nfilm-every = 0\n"
    "[train.optimizer]\nname = 'adamw'\nweight_decay = 0.5\n"
    "[build]\nencoder = {name = 'mlp', hidden = [8]}\nlatent = 2\nseed = 5\n"
)


@pytest.fixture
def project(genmod, tmp_path):
    place = Path("genmod.toml")
    place.write_text(SMALL)
    return place


def settings(directory="model"):
    return json.loads(Path(directory, "run.json").read_text())["settings"]


def test_a_run_takes_them_and_records_them(genmod, project):
    assert genmod("build").code == 0
    done = genmod("train", "--lr", "0.5")
    assert done.code == 0, done.err
    assert "settings from genmod.toml: steps 3, device cpu, batch-size 32" in done.err
    found = settings()
    assert (found["steps"], found["batch_size"], found["lr"]) == (3, 32, 0.5)
    assert (found["optimizer"], found["optimizer_options"]) == ("adamw", {"weight_decay": 0.5})
    model = json.loads(Path("model", "model.json").read_text())
    assert model["components"]["encoder"]["options"]["hidden"] == [8]

    # A resumed run keeps its own settings, whatever the files say now; a longer one is asked for on the command line.
    project.write_text("[train]\nsteps = 9\nlr = 0.1\nbatch-size = 16\n")
    assert genmod("train", "--resume", "--steps", "5").code == 0
    assert (settings()["steps"], settings()["lr"], settings()["batch_size"]) == (5, 0.5, 32)


def test_a_recipe_that_is_typed_takes_the_place_of_the_files(genmod, project):
    assert genmod("build", "beta-vae", "-o", "typed").code == 0
    model = json.loads(Path("typed", "model.json").read_text())
    assert model["recipe"] == "beta-vae"
    assert model["components"]["encoder"]["name"] == "conv"
    assert model["latent"] != [2]
    assert genmod("build", "--encoder", "conv", "-o", "part").code == 0
    model = json.loads(Path("part", "model.json").read_text())
    assert (model["components"]["encoder"]["name"], model["latent"]) == ("conv", [2])
    assert model["components"]["encoder"]["options"]["hidden"] == 256


@pytest.mark.slow
def test_a_file_of_a_model_has_the_settings_of_its_training(genmod):
    Path("mine.toml").write_text("latent = 2\nencoder = 'mlp'\n[train]\nsteps = 2\ndevice = 'cpu'\n")
    done = genmod("build", "mine.toml")
    assert "next: genmod train --config mine.toml" in done.err
    done = genmod("train", "--config", "mine.toml", "--batch-size", "16")
    assert (done.code, settings()["steps"], settings()["batch_size"]) == (0, 2, 16)
    Path("mine.toml").write_text("latent = 2\n[train]\nstep = 2\n")
    done = genmod("build", "mine.toml", "-o", "other")
    assert done.code == 2
    assert "mine.toml: train.step: no such setting; did you mean train.steps?" in done.err
    assert not Path("other").exists()


def test_what_is_wrong_is_refused_before_any_work(genmod, project):
    assert genmod("build").code == 0
    project.write_text("[train]\nlearning-rate = 1\n")
    done = genmod("train")
    assert done.code == 2
    assert "genmod.toml: train.learning-rate: no such setting" in done.err
    assert not Path("model", "run.json").exists()
    assert genmod("config", "--json").code == 2
    done = genmod("config")
    assert done.code == 2
    assert "genmod.toml: train.learning-rate: no such setting" in done.err
    assert "train.lr\t0.001\tdefault\n" in done.out, "the names that there are"


def test_config_shows_what_holds_and_from_where(genmod, project, monkeypatch):
    monkeypatch.setenv("GENMOD_TRAIN_LR", "0.25")
    document = json.loads(genmod("config", "--json").out)
    assert document["files"] == {"project": str(project.absolute()), "user": None}
    found = document["settings"]
    assert found["train.lr"] == {"value": 0.25, "from": "GENMOD_TRAIN_LR"}
    assert found["train.steps"] == {"value": 3, "from": str(project.absolute())}
    assert found["train.clip"] == {"value": 0.0, "from": "default"}
    assert found["build.latent"]["value"] == 2
    done = genmod("config")
    assert f"train.batch-size\t32\t{project.absolute()}\n" in done.out
    assert "no settings of the user: " in done.err


def test_the_folder_of_data_holds_in_all_commands(genmod, project, tmp_path, monkeypatch):
    project.write_text("data-root = 'd'\noffline = true\n")
    done = genmod("info", "--json")
    assert json.loads(done.out)["data"] == str(project.absolute().parent / "d")
    assert "settings from" not in done.err
    assert "settings from genmod.toml: data-root " in genmod("build", "--dry-run", "--encoder", "mlp").err
    monkeypatch.setenv("GENMOD_DATA", str(tmp_path))
    assert json.loads(genmod("info", "--json").out)["data"] == str(tmp_path)


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_offline_nothing_is_downloaded_and_the_file_to_put_there_is_named(
    genmod, tmp_path, monkeypatch, data, how
):
    def reached(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", reached)
    assert (
        genmod("build", "--data", data, "--encoder", "identity", "--network", "linear", "--latent", "2").code
        == 0
    )
    flags = ["--offline"] if how == "flag" else []
    if how == "variable":
        monkeypatch.setenv("GENMOD_OFFLINE", "1")
    if how == "file":
        Path("genmod.toml").write_text("offline = true\n")
    done = genmod("train", "--data-root", tmp_path / "data", *flags)
    assert done.code == 2
    assert f"{tmp_path / 'data'}" in done.err
    assert "is missing, and --offline or GENMOD_OFFLINE forbids to download it\nhint: put " in done.err
    assert not (tmp_path / "data").exists()
    assert os.environ.get("GENMOD_OFFLINE") == ("1" if how == "variable" else None)
