"""What a run chooses where the precision is left open, what its record says, and what a resumed run keeps."""

import json
from pathlib import Path

import pytest
import torch

import genmod
from genmod.experiments.sweep import _same
from genmod.report.commands import train_command
from genmod.training import precision
from genmod.training.precision import products, rounding, settled
from genmod.training.settings import TrainSettings, same_setting

CPU, GPU = torch.device("cpu"), torch.device("cuda")
HOW = {"device": "cpu", "film_every": 0}


def built(**more):
    return genmod.build(encoder={"name": "mlp", "hidden": [16]}, latent=2, **more)


@pytest.fixture
def on_a_gpu(monkeypatch):
    """This processor passes for a GPU that multiplies in bf16."""
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)


def test_nothing_changes_on_the_cpu():
    assert settled(TrainSettings(), built(), CPU) == TrainSettings(precision="32")


def test_a_gpu_computes_coarse_data_in_bf16(on_a_gpu):
    model = built()
    assert settled(TrainSettings(), model, GPU).precision == "bf16"
    for chosen in ("32", "bf16"):
        assert settled(TrainSettings(precision=chosen), model, GPU).precision == chosen
    fine = built(data=torch.rand(30, 1, 4, 4))
    assert fine.data.levels is None
    assert settled(TrainSettings(), fine, GPU).precision == "32"
    assert settled(TrainSettings(), model.double(), GPU).precision == "32"


@pytest.mark.parametrize(("there", "chosen"), [(True, "bf16"), (False, "32")])
def test_a_run_says_what_it_chose_and_keeps_it(there, chosen, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "has_bf16", lambda device: there)
    model = built()
    genmod.train(model, directory=tmp_path / "auto", steps=3, **HOW)
    genmod.train(built(), directory=tmp_path / "typed", steps=3, precision=chosen, **HOW)
    found = [genmod.load(tmp_path / name, weights="last").state_dict() for name in ("auto", "typed")]
    assert all(torch.equal(found[0][name], tensor) for name, tensor in found[1].items())
    record = json.loads((tmp_path / "auto" / "run.json").read_text())
    assert record["settings"]["precision"] == chosen
    assert all(each.dtype == torch.float32 for each in model.state_dict().values())
    # On another device it goes on as it began.
    monkeypatch.setattr(precision, "has_bf16", lambda device: not there)
    for more in ({}, {"precision": "auto"}, {"settings": TrainSettings(steps=4, **HOW)}):
        genmod.train(model, directory=tmp_path / "auto", resume=True, **{"steps": 4, **more})
    assert json.loads((tmp_path / "auto" / "run.json").read_text())["settings"]["precision"] == chosen


def test_products_of_a_gpu_are_rounded_in_a_run_alone(monkeypatch):
    low, full = TrainSettings(precision="bf16"), TrainSettings(precision="32")
    for settings, device, inside in ((low, GPU, "tf32"), (full, GPU, "float32"), (low, CPU, "float32")):
        with products(settings, device):
            assert rounding(GPU) == {"products": inside}
        assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(KeyError), products(low, GPU):
        raise KeyError
    assert torch.get_float32_matmul_precision() == "highest"
    # Who has chosen for the whole program keeps it.
    torch.set_float32_matmul_precision("medium")
    try:
        with products(low, GPU):
            assert rounding(GPU) == {"products": "bf16"}
    finally:
        torch.set_float32_matmul_precision("highest")
    assert rounding(CPU) == {}


def test_what_was_left_open_is_no_other_run():
    """A sweep, or a reproduction, finds runs in which the precision had been chosen, or that are older than the choice."""
    for was in ("32", "bf16"):
        assert same_setting("precision", was, "auto")
    assert not same_setting("precision", "bf16", "32")
    assert not same_setting("seed", 1, "auto")
    assert _same("train.precision", "auto", "32")
    assert not _same("train.precision", "bf16", "32")
    settings = TrainSettings().to_json()
    for chosen, words in (("auto", ""), ("32", ""), ("bf16", " --precision bf16")):
        assert train_command({**settings, "precision": chosen}, Path("model")) == f"genmod train{words}"
