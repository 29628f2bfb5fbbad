"""``genmod rerun``."""

import json
from pathlib import Path

import pytest

RUN = ("--steps", "3", "--device", "cpu", "--film-every", "0")


@pytest.mark.slow
def test_a_run_is_repeated_in_another_directory(genmod):
    assert genmod("build", "--encoder", "mlp", "--latent", "2", "--seed", "7").code == 0
    assert json.loads(Path("model", "model.json").read_text())["seed"] == 7
    done = genmod("rerun")
    assert done.code == 2
    assert "no record of a run" in done.err
    assert genmod("train", *RUN).code == 0
    Path("genmod.toml").write_text("[train]\nlr = 0.5\nseed = 9\n")  # does not count
    done = genmod("rerun")
    assert done.code == 0, done.err
    assert "repeats the run of model in model-rerun" in done.err
    assert "the weights are those of model, to the last bit" in done.err
    record = json.loads(Path("model", "run.json").read_text())
    record["versions"]["torch"] = "1.0"
    Path("model", "run.json").write_text(json.dumps(record))
    done = genmod("rerun", "model", "-o", "there", "--json")
    assert json.loads(done.out)["same_weights"] is True
    assert "may differ from those of the run, because of these differences:\n" in done.err
    assert "torch: 1.0 → " in done.err
    done = genmod("rerun", "-o", "there")
    assert done.code == 2
    assert "there holds a trained model" in done.err
