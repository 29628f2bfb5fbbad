"""What is written in a model directory, what is never touched, and what is never lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genmod import FileError, build, fit_sampler, load, save, train
from genmod.bundle.directory import ModelDirectory
from genmod.bundle.sampler import save_sampler

SMALL = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2}


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained") / "model"
    model = build(**SMALL)
    train(model, directory=place, steps=4, device="cpu")
    save_sampler(fit_sampler(model, sampler="gaussian"), place)
    return place


@pytest.fixture
def trained(trained_once, tmp_path):
    return shutil.copytree(trained_once, tmp_path / "model")


def everything(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def before(directory):
    return [path for path in directory.iterdir() if path.name.startswith("before-")]


# Other programs


@pytest.mark.parametrize(
    "description",
    [
        '{"format": "layers-model", "modelTopology": {}, "weightsManifest": []}',
        '{"modelTopology": {}}',
        '{"format": 1}',
        "[]",
        "no JSON",
    ],
)
def test_a_folder_of_another_program_is_left_alone(tmp_path, description):
    (tmp_path / "model.json").write_text(description)
    (tmp_path / "group1-shard1of1.bin").write_bytes(b"weights")
    there = everything(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(FileError, match="left alone"):
            save(build(**SMALL), tmp_path, overwrite=overwrite)
        with pytest.raises(FileError, match="left alone"):
            train(build(**SMALL), directory=tmp_path, overwrite=overwrite, steps=1, device="cpu")
    assert everything(tmp_path) == there


def test_files_that_genmod_did_not_write_stay(trained):
    mine = ["notes.txt", ".notes.old", ".notes.tmp", "samples/mine.png", "samples/film/mine.png"]
    mine += [
        "checkpoints/mine.txt",
        "sampler/mine.txt",
        "checkpoints/.mine.old",
    ]
    for name in mine:
        (trained / name).parent.mkdir(parents=True, exist_ok=True)
        (trained / name).write_text("precious")
    save(build(**SMALL), trained, overwrite=True)
    train(build(**SMALL), directory=trained, steps=3, device="cpu")
    train(build(**SMALL), directory=trained, steps=3, device="cpu", overwrite=True)
    save(build(**SMALL), trained, overwrite=True)
    assert [name for name in mine if (trained / name).read_text() != "precious"] == []


# Overwriting


def test_the_old_model_is_whole_until_the_new_one_has_finished(trained):
    old, draws, seen = everything(trained), load(trained).sample(3, seed=0), []

    def look(event):
        if event.kind == "train":
            (kept,) = before(trained)
            seen.append(torch.equal(load(kept).sample(3, seed=0), draws))
            assert {name: old[name] for name in everything(kept)} == everything(kept)

    train(
        build(**SMALL, seed=1),
        directory=trained,
        overwrite=True,
        steps=6,
        log_every=2,
        device="cpu",
        on_event=look,
    )
    assert seen == [True] * 3
    assert before(trained) == []
    assert not (trained / "sampler").exists(), "it was fitted to other weights"
    assert not torch.equal(load(trained).sample(3, seed=0), draws)


def test_a_run_that_fails_keeps_the_old_model(trained):
    draws = load(trained).sample(3, seed=0)

    def stop(event):
        if event.step == 2:
            raise RuntimeError("the power")

    with pytest.raises(RuntimeError, match="the power"):
        train(
            build(**SMALL),
            directory=trained,
            overwrite=True,
            steps=6,
            log_every=1,
            device="cpu",
            on_event=stop,
        )
    (kept,) = before(trained)
    assert torch.equal(load(kept).sample(3, seed=0), draws)
    train(load(trained, weights="last"), directory=trained, resume=True)
    assert before(trained) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "adamm"},
        {"device": "cuda:99"},
        {"trackers": ("wandbb",)},
        {"trackers": ("csv:columns=3",)},
        {"epochs": -3},
        {"lr": -1.0},
        {"schedule": "cosin"},
        {"augment": ("random-corp:3",)},
        {"optimizer_options": {"momentun": 0.9}},
        {"precision": "fp8"},
        {"batch_size": 0},
    ],
    ids=str,
)
def test_nothing_is_touched_before_everything_is_checked(trained, wrong):
    there = everything(trained)
    with pytest.raises(Exception, match=r"\w"):
        train(build(**SMALL), directory=trained, overwrite=True, **{"device": "cpu", **wrong})
    assert everything(trained) == there


HOLD = """
import sys
from pathlib import Path
from genmod.bundle.directory import ModelDirectory
with ModelDirectory(Path(sys.argv[1])).alone():
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_goes_on_is_not_replaced(trained):
    there = everything(trained)
    command = [sys.executable, "-P", "-c", HOLD, str(trained)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(FileError, match="another process"):
            save(build(**SMALL), trained, overwrite=True)
        with pytest.raises(FileError, match="another process"):
            train(build(**SMALL), directory=trained, overwrite=True, steps=1, device="cpu")
        holder.stdin.close()
    found = everything(trained)
    found.pop(".lock", None)
    assert found == there


# Links, pipes and devices


@pytest.mark.parametrize("name", ["checkpoints", "samples", "sampler", "non-finite"])
def test_a_folder_that_is_a_link_is_refused_and_what_it_points_to_left_alone(trained, tmp_path, name):
    home = tmp_path / "home"
    (home / "step-00000001").mkdir(parents=True)
    for file in (
        ".bashrc.old",
        ".ssh.0123abcd.tmp",
        "step-00000001/state.json",
        "samples.png",
        "sampler.json",
    ):
        (home / file).write_text("precious")
    there = everything(home)
    if (trained / name).exists():
        (trained / name).rename(tmp_path / "moved")
    (trained / name).symlink_to(home)
    for act in (
        lambda: train(build(**SMALL), directory=trained, overwrite=True, steps=2, device="cpu"),
        lambda: save(build(**SMALL), trained, overwrite=True),
    ):
        with pytest.raises(FileError, match="is a link"):
            act()
    assert everything(home) == there


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "run.json", "metrics.jsonl", ".lock"])
def test_a_file_that_is_a_link_is_refused(trained, tmp_path, name):
    (trained / name).unlink(missing_ok=True)
    (tmp_path / "secret").write_text("precious")
    (trained / name).symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match=r"is a link|is no genmod model"):
        train(build(**SMALL), directory=trained, overwrite=True, steps=2, device="cpu")
    assert (tmp_path / "secret").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "run.json", "metrics.jsonl", ".lock"])
def test_a_pipe_is_not_waited_for(trained, name):
    (trained / name).unlink(missing_ok=True)
    os.mkfifo(trained / name)
    place = ModelDirectory(trained)
    acts = {
        "model.json": place.read_spec,
        "model.safetensors": lambda: load(trained),
        "run.json": place.read_record,
        "metrics.jsonl": place.read_rows,
        ".lock": lambda: save(build(**SMALL), trained, overwrite=True),
    }
    with pytest.raises(FileError, match="is not a file"):
        acts[name]()


@pytest.mark.parametrize("kind", ["dataset", "prior"])
def test_a_description_names_all_parts(trained, kind):
    path = trained / "model.json"
    plain = json.loads(path.read_text())
    del plain["components"][kind]
    path.write_text(json.dumps(plain))
    with pytest.raises(FileError, match=rf"model\.json is damaged: it names no {kind}"):
        ModelDirectory(trained).read_spec()


def test_damaged_rows_and_records(trained):
    place = ModelDirectory(trained)
    good = place.read_rows()
    with place.rows.open("a") as file:
        file.write('{"step": 5, "loss": NaN, "rate": 1e999, "note": "x", "split": "train"}\n')
        file.write('{"step": 6, "loss": 1' + "0" * 400 + "}\n")
        file.write('{"step": 1e3}\n[]\n{"step": -1}\nnull\n{"step": 7, "lo')
    assert place.read_rows() == [
        *good,
        {"step": 5, "loss": None, "rate": None, "note": None, "split": "train"},
        {"step": 6, "loss": None},
    ]
    for content in ("[]", '{"settings": 3}', "{", "\xff"):
        place.record.write_bytes(content.encode("latin-1"))
        with pytest.raises(FileError, match=r"run\.json is damaged"):
            place.read_record()


def test_temporary_files_follow_no_link(tmp_path, monkeypatch):
    """Somebody who guesses the name of a temporary file cannot have another file written."""
    from genmod.system import files

    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0" * 2 * n)
    (tmp_path / "secret").write_text("precious")
    (tmp_path / ".file.00000000.tmp").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError):
        files.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "secret").read_text() == "precious"
    assert not (tmp_path / "file").exists()


def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch):
    """As on Windows, and on some network drives."""
    real = os.fsync

    def fsync(handle):
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise PermissionError(13, "Permission denied")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    train(build(**SMALL), directory=tmp_path / "model", steps=3, device="cpu")
    assert json.loads((tmp_path / "model" / "run.json").read_text())["status"] == "finished"


def test_what_lies_in_a_checkpoint_is_not_removed_with_it(trained):
    (trained / "checkpoints" / "step-00000004" / "mine.txt").write_text("precious")
    train(build(**SMALL), directory=trained, steps=3, device="cpu", overwrite=True)
    assert [path.read_text() for path in trained.rglob("mine.txt")] == ["precious"]
