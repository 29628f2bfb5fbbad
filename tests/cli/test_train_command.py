"""``genmod train`` with several directories, and under torchrun."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genmod import load, save

SMALL = ["--encoder", "mlp", "-s", "encoder.hidden=16", "--latent", "2"]
RUN = ["--steps", "4", "--device", "cpu"]


@pytest.fixture
def models(genmod, tmp_path):
    for name in ("a", "b"):
        assert genmod("build", *SMALL, "-o", tmp_path / name).code == 0
    return tmp_path / "a", tmp_path / "b"


def test_each_is_trained_in_its_directory(genmod, models):
    done = genmod("train", *models, *RUN, "--json")
    assert done.code == 0
    reports = json.loads(done.out)
    assert [(report["directory"], report["status"]) for report in reports] == [
        (str(m), "finished") for m in models
    ]
    for model in models:
        assert json.loads((model / "run.json").read_text())["status"] == "finished"
    assert "model 2 of 2" in done.err


def test_small_numbers_keep_their_digits(capsys):
    from genmod.cli.training import _print

    row = SimpleNamespace(name="mse", value=0.000123, standard_error=4.5e-6, unit="", n=3)
    _print(SimpleNamespace(rows=[row], undefined={}))
    assert "mse\t0.000123\t4.5e-06\t" in capsys.readouterr().out


def test_what_does_not_go_together_is_refused_once_and_not_by_each_process(genmod, monkeypatch):
    monkeypatch.setattr("genmod.cli.processes.launch", None)
    done = genmod("train", "--overwrite", "--resume", "--processes", "2")
    assert done.code == 2
    assert "give one of them" in done.err


def test_one_that_fails_does_not_keep_the_others(genmod, models):
    a, b = models
    assert genmod("train", a, *RUN).code == 0
    done = genmod("train", a, b, *RUN, "--json")
    assert done.code == 2
    assert f"{a} holds a trained model" in done.err
    assert [report["status"] for report in json.loads(done.out)] == ["failed", "finished"]


def test_all_are_looked_at_before_the_first_is_trained(genmod, models):
    a, _ = models
    done = genmod("train", a, a.parent / "missing", *RUN)
    assert done.code == 2
    assert "there is no model directory" in done.err
    assert not (a / "run.json").exists()


def test_weights_of_a_model_that_was_never_trained_are_its_beginning(genmod, models):
    """Such as those of another library: there is no run to start over."""
    a, _ = models
    model = load(a)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    save(model, a)
    assert genmod("train", a, *RUN, "--overwrite", "--freeze", "encoder").code == 0
    for name, tensor in load(a).encoder.state_dict().items():
        assert torch.equal(tensor, model.encoder.state_dict()[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [["-m", "genmod"], ["--no-python", str(Path(sys.executable).with_name("genmod"))]]
)
def test_under_torchrun(genmod, models, program):
    """Two processes that torchrun starts train as one does."""
    a, b = models
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", *program, "train", str(a), *RUN]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert genmod("train", b, *RUN).code == 0
    two, one = (load(model, weights="last").state_dict() for model in (a, b))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-6


def test_a_plan_is_printed_and_nothing_is_written(genmod, models):
    a, b = models
    before = {path: path.read_bytes() for path in a.rglob("*") if path.is_file()}
    done = genmod("train", a, "--dry-run", "--steps", "50", "--ema", "0.9")
    assert done.code == 0, done.err
    assert "steps\t50 of 128 examples each, 5 times through the data\n" in done.out
    assert "other settings\tema 0.9\n" in done.out
    assert f"writes\t{a / 'model.safetensors'}\n" in done.out
    assert "memory of optimizer\t" in done.out
    assert "time in all, about\t" in done.out
    assert "nothing was written" in done.err
    done = genmod("train", a, b, "--dry-run", "--json", *RUN)
    plans = json.loads(done.out)
    assert [(each["directory"], each["steps"]) for each in plans] == [(str(a), 4), (str(b), 4)]
    assert {path: path.read_bytes() for path in a.rglob("*") if path.is_file()} == before
    assert genmod("train", a, "--dry-run", "--resume").code == 2
    parts = genmod("train", a, "--dry-run", "--processes", "2", "--strategy", "fsdp")
    assert parts.code == 0
    assert "each of 2 processes" in parts.out
    assert "memory of gathered weights" in parts.out


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_a_finished_run_that_it_is_done(genmod, models, monkeypatch):
    a, _ = models
    from genmod.training.trainer import Run

    step = Run.step

    def interrupted(run):
        if run.state.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(run)

    monkeypatch.setattr(Run, "step", interrupted)
    done = genmod("train", a, *RUN)
    assert done.code == 130
    assert f"error: stopped after step 2 by SIGINT\nhint: genmod train {a} --resume\n" in done.err
    monkeypatch.undo()
    done = genmod("train", a, "--resume")
    assert done.code == 0, done.err
    assert "nothing is left" not in done.err

    done = genmod("train", a, "--resume")
    assert done.code == 0
    assert f"the run in {a} is done: finished after 4 steps; nothing is left to resume\n" in done.err
    line = f"genmod train {a} --resume --steps 8"
    assert f"to train longer: {line}\n" in done.err
    done = genmod(*line.split()[1:])
    assert done.code == 0
    assert "nothing is left" not in done.err
    assert json.loads((a / "run.json").read_text())["step"] == 8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"schedule": "cosine"}}, "start over: genmod train {} --overwrite --steps 8"),
        (
            {"status": "stopped early", "settings": {"schedule": "constant", "patience": 3}},
            "start over: genmod train {} --overwrite --patience 6",
        ),
    ],
)
def test_what_cannot_go_on_is_started_over(capsys, models, changed, said):
    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.training import _say_if_done

    a, _ = models
    (a / "run.json").write_text(json.dumps({"status": "finished", "step": 4, **changed}))
    _say_if_done(ModelDirectory(a), {})
    assert said.format(a) in capsys.readouterr().err
    _say_if_done(ModelDirectory(a), {"steps": 9})
    assert capsys.readouterr().err == ""
