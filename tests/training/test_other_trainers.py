"""Trainers of other packages train a model as it is; each is installed beside genmod, and skipped where it is not."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import genmod

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:::(?!genmod)"),
    pytest.mark.filterwarnings("error:.*stand still:UserWarning"),
]


@pytest.fixture
def x():
    return torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    return genmod.build(
        "cvae", encoder="mlp", settings={"encoder.hidden": [8], "objective.beta": "0->4 over 2 steps"}
    )


def weights(model):
    return torch.cat([p.detach().cpu().flatten().clone() for p in model.parameters()])


def check(model, before):
    """Two steps were made, and what they left is a model as any other."""
    after = weights(model)
    assert after.isfinite().all()
    assert not torch.equal(before, after)
    assert float(model.cpu().eval().objective.beta) == 4
    assert model.sample(2, seed=0).shape == (2, 1, 8, 8)


def test_lightning(model, x, tmp_path):
    lightning = pytest.importorskip("lightning")
    betas = []

    class Module(lightning.LightningModule):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def training_step(self, batch, index):
            self.model.advance(self.global_step, self.trainer.max_steps)
            betas.append(float(self.model.objective.beta))
            return self.model(*batch)["loss"]

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    before = weights(model)
    loader = DataLoader(TensorDataset(x, torch.arange(32) % 10), batch_size=16)
    trainer = lightning.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Module(model), loader)
    assert betas == [0.0, 2.0]
    check(model, before)


def test_accelerate(model, x):
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    loader = DataLoader(TensorDataset(x, torch.arange(32) % 10), batch_size=16)
    before = weights(model)
    ready, optimizer, loader = accelerator.prepare(model, torch.optim.Adam(model.parameters(), 1e-2), loader)
    for step, batch in enumerate(loader):
        model.advance(step, 2)
        accelerator.backward(ready(*batch)["loss"])
        optimizer.step()
        optimizer.zero_grad()
    assert step == 1
    check(model, before)


def test_transformers(model, x, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    betas = []

    class Schedules(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **more):
            model.advance(state.global_step, state.max_steps)
            betas.append(float(model.objective.beta))

    before = weights(model)
    examples = [{"x": each, "labels": i % 10} for i, each in enumerate(x)]
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model, arguments, train_dataset=examples, eval_dataset=examples, callbacks=[Schedules()]
    )
    result = trainer.train()
    assert (result.global_step, betas) == (2, [0.0, 2.0])
    assert trainer.evaluate()["eval_loss"] > 0
    check(model, before)
