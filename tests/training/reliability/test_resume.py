"""A run that was stopped and goes on is the run that was not stopped, bit for bit."""

import os
import signal
from itertools import product

import pytest
import torch

import genmod
from genmod import Batch, DataInfo, Dataset, FileError, Split, TensorSplit, UsageError
from genmod.plugins.datasets.digits import Digits
from genmod.training.checkpoint import newest
from genmod.training.signals import Interrupted

PER_EPOCH = 5


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Streamed(Split):
    """Examples that are fetched batch by batch."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch)

    def __getitems__(self, indices):
        return self.batch[torch.as_tensor(indices)]


class Few(Dataset):
    def __init__(self, streamed=False):
        whole = Digits(None).split("train").in_memory().x
        kind = Streamed if streamed else TensorSplit
        self.parts = {
            name: kind(Batch(whole[i * 90 : (i + 1) * 90].clone())) for i, name in enumerate(SPLITS)
        }

    @property
    def info(self):
        return DataInfo((1, 8, 8), levels=17)

    def split(self, name):
        return self.parts[name]


SPLITS = ("train", "validation", "test")
CONVOLUTIONAL = {
    "encoder": {"name": "conv", "channels": [4, 8], "norm": "batch"},
    "decoder": {"name": "gaussian", "scale": "optimal"},
    "objective": {"name": "elbo", "beta": "0->1 over 12 steps"},
    "latent": 2,
}
SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}
RUNS = {
    "everything": (
        CONVOLUTIONAL,
        {
            "ema": 0.9,
            "schedule": "plateau",
            "schedule_options": {"patience": 0, "factor": 0.5},
            "accumulate": 2,
            "clip": 0.5,
            "patience": 4,
            "augment": ("random-crop:8,padding=1", "random-rotation:10"),
        },
    ),
    "torch schedule": (
        SMALL,
        {"optimizer": "adamw", "schedule": "cosine-annealing-warm-restarts", "warmup": 4, "accumulate": 2}
        | {"schedule_options": {"T_0": 2}, "augment": ("random-horizontal-flip", "random-crop:8,padding=1")},
    ),
    "one cycle": (
        SMALL,
        {"schedule": "one-cycle", "accumulate": 2}
        | {"schedule_options": {"max_lr": 0.01, "total_steps": 5, "cycle_momentum": False}},
    ),
    "own schedule": (
        CONVOLUTIONAL,
        {"schedule": "cosine", "warmup": 3, "accumulate": 2, "optimizer": "nadam"},
    ),
}
STOPS = {"first step": (1, 1), "mid-epoch": (7, 1), "epoch end": (10, 1), "mid-accumulation": (13, 0)}


def go(directory, components, settings, *, streamed=False, stop=None, resume=False, model=None, **more):
    """Train; ``stop = (step, part)`` sends SIGTERM while that part of that step is computed."""
    data = Few(streamed)
    model = model or build_model(components)
    parts = settings.get("accumulate", 1)
    if stop is not None:
        calls = 0
        terms = model.terms

        def counted(x):
            nonlocal calls
            if model.training:
                if calls == (stop[0] - 1) * parts + min(stop[1], parts - 1):
                    os.kill(os.getpid(), signal.SIGTERM)
                calls += 1
            return terms(x)

        model.terms = counted
    common = {"batch_size": 16, "steps": 25, "log_every": 3, "device": "cpu", "seed": 5}
    return genmod.train(model, data, directory=directory, resume=resume, **common | settings | more)


def build_model(components):
    from genmod.model.assembly import assemble
    from genmod.model.build import compose

    latent = components["latent"]
    parts = {kind: part for kind, part in components.items() if kind != "latent"}
    return assemble(compose("vae", components={**parts, "dataset": "digits"}, latent=latent), Few().info)


def left(directory):
    """All that a run leaves."""
    found, passed_over = newest(directory / "checkpoints")
    assert passed_over == []
    tensors = {f"{name}/{key}": t for name, group in found.tensors.items() for key, t in group.items()}
    for name in ("best", "last"):
        weights = genmod.system.tensors.read_any_tensors(
            directory / {"best": "model.safetensors", "last": "last.safetensors"}[name]
        )
        tensors |= {f"{name} file/{key}": t for key, t in weights.items()}
    state = {key: value for key, value in found.state["run"].items() if key != "seconds"}
    return tensors, state, (directory / "metrics.jsonl").read_text()


def assert_same(a, b):
    assert a[0].keys() == b[0].keys()
    assert [key for key in a[0] if not torch.equal(a[0][key], b[0][key])] == []
    assert a[1] == b[1]
    assert a[2] == b[2]


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Uninterrupted runs, each computed once."""
    done = {}

    def function(name):
        if name not in done:
            directory = tmp_path_factory.mktemp("reference") / "model"
            result = go(directory, *RUNS[name])
            done[name] = left(directory), result
        return done[name]

    return function


def resumed(directory, name, stop, **more):
    with pytest.raises(Interrupted) as stopped:
        go(directory, *RUNS[name], stop=stop, **more)
    assert stopped.value.step == stop[0]
    assert stopped.value.exit_code == 143
    assert newest(directory / "checkpoints")[0].step == stop[0]
    return go(directory, *RUNS[name], resume=True, **more)


def some(cases, quick):
    """All cases, those beside the quick ones with ``-m slow``."""
    marked = [
        (case if isinstance(case, tuple) else (case,), () if case in quick else pytest.mark.slow)
        for case in cases
    ]
    return [pytest.param(*values, marks=marks) for values, marks in marked]


@pytest.mark.parametrize(
    ("stop", "workers"),
    some(product(STOPS, [0, 2]), [("mid-accumulation", 2)]),
)
def test_everything_at_once(references, tmp_path, stop, workers):
    expected, result = references("everything")
    again = resumed(tmp_path / "model", "everything", STOPS[stop], streamed=True, workers=workers)
    assert_same(left(tmp_path / "model"), expected)
    assert (again.status, again.best_step, again.rows) == (result.status, result.best_step, result.rows)


@pytest.mark.parametrize(
    ("name", "stop"),
    some(
        product(RUNS, ["mid-epoch", "mid-accumulation"]),
        [("everything", "mid-accumulation"), ("own schedule", "mid-epoch")],
    ),
)
def test_in_memory(references, tmp_path, name, stop):
    expected, _ = references(name)
    resumed(tmp_path / "model", name, STOPS[stop])
    assert_same(left(tmp_path / "model"), expected)


def test_every_row_is_there_once(references):
    (_, _, text), result = references("own schedule")
    steps = [(row["step"], row["split"]) for row in result.rows]
    assert len(set(steps)) == len(steps) == text.count("\n")
    ends = [step for step in range(1, 26) if step % PER_EPOCH == 0]
    assert [step for step, split in steps if split == "validation"] == ends
    assert [step for step, split in steps if split == "train"] == sorted({*range(3, 26, 3), *ends})


def test_stopped_again_and_again(references, tmp_path):
    expected, _ = references("everything")
    directory = tmp_path / "model"
    for step in (1, 2, 6, 11, 18, 24):
        before = newest(directory / "checkpoints")[0].step if directory.exists() else 0
        with pytest.raises(Interrupted):
            go(directory, *RUNS["everything"], stop=(step - before, 0), resume=before > 0)
    go(directory, *RUNS["everything"], resume=True)
    assert_same(left(directory), expected)


def test_early_stopping(tmp_path):
    settings = {"lr": 1e-9, "patience": 2, "steps": 1000, "log_every": 1000}
    whole = go(tmp_path / "whole", SMALL, settings)
    assert whole.status == "stopped early"
    assert whole.steps < 1000
    with pytest.raises(Interrupted):
        go(tmp_path / "model", SMALL, settings, stop=(7, 0))
    again = go(tmp_path / "model", SMALL, settings, resume=True)
    assert (again.status, again.steps, again.rows) == (whole.status, whole.steps, whole.rows)
    # It has ended, and resuming changes nothing.
    before = left(tmp_path / "model")
    assert go(tmp_path / "model", SMALL, settings, resume=True).status == "stopped early"
    assert_same(left(tmp_path / "model"), before)


OPTIMIZERS = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
]


@pytest.mark.parametrize("name", some(OPTIMIZERS, ["adafactor", "rprop", "sgd"]))
def test_every_optimizer(tmp_path, name):
    options = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    settings = {"optimizer": name, "optimizer_options": options, "steps": 9}
    go(tmp_path / "whole", SMALL, settings)
    with pytest.raises(Interrupted):
        go(tmp_path / "model", SMALL, settings, stop=(4, 0))
    go(tmp_path / "model", SMALL, settings, resume=True)
    assert_same(left(tmp_path / "model"), left(tmp_path / "whole"))


def test_a_longer_run_goes_on(tmp_path):
    go(tmp_path / "whole", SMALL, {"steps": 20})
    go(tmp_path / "model", SMALL, {"steps": 10})
    go(tmp_path / "model", SMALL, {"steps": 20}, resume=True)
    assert_same(left(tmp_path / "model"), left(tmp_path / "whole"))


def test_other_settings_are_refused(tmp_path):
    go(tmp_path / "model", SMALL, {"steps": 5, "augment": ("random-horizontal-flip",)})
    with pytest.raises(UsageError) as refused:
        go(tmp_path / "model", SMALL, {"steps": 5, "lr": 0.01, "augment": ()}, resume=True)
    assert "lr: 0.001 in the run, 0.01 now" in refused.value.message
    assert "augment: ['random-horizontal-flip'] in the run, [] now" in refused.value.message


def test_other_data_are_refused(tmp_path, monkeypatch):
    go(tmp_path / "model", SMALL, {"steps": 5})
    init = Few.__init__

    def changed(self, streamed=False):
        init(self, streamed)
        self.parts["train"].batch.x[43] = 0

    monkeypatch.setattr(Few, "__init__", changed)
    with pytest.raises(UsageError, match=r"data\.examples"):
        go(tmp_path / "model", SMALL, {"steps": 5}, resume=True)


def test_other_surroundings_are_told(tmp_path):
    go(tmp_path / "model", SMALL, {"steps": 5})
    events = []
    torch.set_num_threads(2)
    try:
        go(tmp_path / "model", SMALL, {"steps": 5}, resume=True, on_event=events.append)
    finally:
        torch.set_num_threads(1)
    assert [e.text for e in events if e.kind == "warning"] == [
        "the run is resumed, but not bit for bit, because of these differences: threads: 1 → 2"
    ]


def test_a_damaged_checkpoint_is_passed_over(references, tmp_path):
    directory = tmp_path / "model"
    with pytest.raises(Interrupted):
        go(directory, *RUNS["everything"], stop=(9, 0), checkpoint_every=2)
    (directory / "checkpoints/step-00000009/optimizer.safetensors").write_bytes(b"")
    events = []
    go(directory, *RUNS["everything"], resume=True, on_event=events.append)
    warnings = [e.text for e in events if e.kind == "warning"]
    assert "step-00000009/optimizer.safetensors is missing or damaged" in warnings[0]
    assert warnings[1] == "resuming from step 8 instead"
    assert_same(left(directory), references("everything")[0])


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileError, match="has no checkpoint to resume from"):
        go(tmp_path / "model", SMALL, {}, resume=True)
