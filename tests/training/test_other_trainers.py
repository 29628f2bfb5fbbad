"""Trainers of other packages train a model as it is, by the lines of ``docs/python.md``; skipped where not installed."""

import re
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import genmod

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.slow,
    # Of other packages; what stands still would be told here.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error:nothing says how far:UserWarning"),
]


def run(words, **names):
    """Execute the block of the page with these words, and return the names that it leaves."""
    (block,) = [
        each for each in re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if words in each
    ]
    exec(compile(block, "python.md", "exec"), names)
    return names


@pytest.fixture
def x():
    return torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def loader(x):
    return DataLoader(TensorDataset(x, torch.arange(32) % 10), batch_size=16)


@pytest.fixture
def model():
    beta = {"objective.beta": "0->4 over 2 steps"}
    return genmod.build("cvae", encoder="mlp", settings={"encoder.hidden": [8], **beta})


@pytest.fixture
def steps(monkeypatch):
    """The steps that the model was told."""
    told, advance = [], genmod.LatentVariableModel.advance

    def recorded(self, step, total):
        told.append((step, total))
        advance(self, step, total)

    monkeypatch.setattr(genmod.LatentVariableModel, "advance", recorded)
    return told


@pytest.fixture
def check(model, steps):
    """A check that two steps were made, and that they left a model as any other."""

    def weights():
        return torch.cat([p.detach().cpu().flatten().clone() for p in model.parameters()])

    before = weights()

    def check():
        assert steps == [(0, 2), (1, 2)]
        assert weights().isfinite().all()
        assert not torch.equal(before, weights())
        assert float(model.cpu().eval().objective.beta) == 4
        assert model.sample(2, seed=0).shape == (2, 1, 8, 8)

    return check


def test_lightning(model, check, loader, tmp_path):
    lightning = pytest.importorskip("lightning")
    module = run("LightningModule", lightning=lightning, torch=torch)["Module"]
    off = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = lightning.Trainer(max_steps=2, accelerator="cpu", default_root_dir=tmp_path, **off)
    trainer.fit(module(model), loader)
    assert trainer.global_step == 2
    check()


def test_accelerate(model, check, loader):
    accelerator = pytest.importorskip("accelerate").Accelerator(cpu=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    run("accelerator", accelerator=accelerator, model=model, optimizer=optimizer, loader=loader)
    check()


def test_transformers(model, check, x, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    examples = [{"x": each, "labels": i % 10} for i, each in enumerate(x)]
    how = {
        "max_steps": 2,
        "per_device_train_batch_size": 16,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
    }
    arguments = transformers.TrainingArguments(str(tmp_path / "out"), disable_tqdm=True, **how)
    schedules = run("TrainerCallback", transformers=transformers)["Schedules"]
    trainer = transformers.Trainer(
        model, arguments, train_dataset=examples, eval_dataset=examples, callbacks=[schedules()]
    )
    assert trainer.train().global_step == 2
    assert trainer.evaluate()["eval_loss"] > 0
    check()
