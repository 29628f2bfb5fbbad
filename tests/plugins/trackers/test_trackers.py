"""Every store has exactly the rows of the run, also after a kill and a resume."""

import csv
import importlib
import json
import struct
import subprocess
import sys
import types
import warnings

import pytest

import genmod
from genmod import FileError, PluginError, Tracker, UsageError
from genmod.bundle.directory import ModelDirectory
from genmod.plugins.trackers.wandb import WandB
from genmod.registry.lookup import Registry
from genmod.system.installed import installed
from genmod.training.tracking import Tracking

MODEL = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2}


def in_jsonl(directory):
    return [(row["step"], row["split"], row["loss"]) for row in ModelDirectory(directory).read_rows()]


def in_csv(directory):
    with (directory / "metrics.csv").open(newline="") as file:
        return [(int(row["step"]), row["split"], float(row["loss"])) for row in csv.DictReader(file)]


def in_tensorboard(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return [(e.step, s, e.value) for s in ("train", "validation") for e in events.Scalars(f"{s}/loss")]


def in_mlflow(directory):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{directory / 'mlflow.db'}")
    where = client.get_experiment_by_name("genmod").experiment_id
    (run,) = client.search_runs([where])
    history = {s: client.get_metric_history(run.info.run_id, f"{s}/loss") for s in ("train", "validation")}
    return [(metric.step, split, metric.value) for split, metrics in history.items() for metric in metrics]


def in_wandb(directory):
    from wandb.proto import wandb_internal_pb2 as messages

    (path,) = directory.glob("wandb/offline-run-*/run-*.wandb")
    found = []
    for record in _records(path.read_bytes()):
        message = messages.Record()
        message.ParseFromString(record)
        if message.WhichOneof("record_type") == "history":
            items = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in message.history.item}
            step = message.history.step.num
            found += [(step, s, items[f"{s}/loss"]) for s in ("train", "validation") if f"{s}/loss" in items]
    return found


def _records(content):
    """The records of a LevelDB log, which is what an offline run is, after a header of seven bytes."""
    whole, place = b"", 7
    while place + 7 <= len(content):
        room = 32768 - place % 32768
        if room < 7:
            place += room
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        if kind == 0:
            place += room
            continue
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


EXTRAS = [name for name in ("tensorboard", "wandb", "mlflow") if installed(name) is not None]
READ = {name: globals()[f"in_{name}"] for name in ("jsonl", "csv", *EXTRAS)}

KILLED = """
import os, sys
import genmod

genmod.train(
    genmod.build(encoder={"name": "mlp", "hidden": [8]}, latent=2), directory=sys.argv[1], steps=30,
    checkpoint_every=7, log_every=2, device="cpu", trackers=sys.argv[2].split(","),
    on_event=lambda e: os._exit(9) if e.kind == "train" and e.step >= 19 else None,
)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A whole run, and one that was killed after its nineteenth step and resumed, with all trackers there are."""
    folder = tmp_path_factory.mktemp("runs")
    settings = {"steps": 30, "checkpoint_every": 7, "log_every": 2, "device": "cpu"}
    genmod.train(genmod.build(**MODEL), directory=folder / "whole", **settings)
    trackers = ",".join(["csv", *EXTRAS])
    command = [sys.executable, "-P", "-c", KILLED, str(folder / "killed"), trackers]
    assert subprocess.run(command).returncode == 9
    before = in_jsonl(folder / "killed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        genmod.train(
            genmod.load(folder / "killed", weights="last"),
            directory=folder / "killed",
            resume=True,
            device="cpu",
        )
    return folder, before


@pytest.mark.parametrize("name", READ)
@pytest.mark.slow
def test_every_step_once_after_a_kill(runs, name):
    folder, before = runs
    expected = in_jsonl(folder / "whole")
    # Rows beyond the checkpoint of step 14 were there already, and were written again.
    assert max(step for step, _, _ in before) > 14
    found = READ[name](folder / "killed")
    assert len(found) == len({each[:2] for each in found}) == len(expected)
    assert {(step, split): loss for step, split, loss in found} == {
        (step, split): pytest.approx(loss, rel=1e-6) for step, split, loss in expected
    }


def test_a_new_column_rewrites_the_header(tmp_path):
    tracking = Tracking(tmp_path, ["csv"])
    tracking.begin()
    tracking.write({"step": 1, "split": "train", "loss": 1.5})
    tracking.write({"step": 2, "split": "train", "loss": float("nan"), "lr": 0.1})
    tracking.close("finished")
    assert (
        tmp_path / "metrics.csv"
    ).read_bytes() == b"step,split,loss,lr\r\n1,train,1.5,\r\n2,train,,0.1\r\n"
    assert ModelDirectory(tmp_path).read_rows()[1]["loss"] is None


def test_a_line_that_a_crash_cut_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "lo')
    assert ModelDirectory(tmp_path).read_rows() == [{"step": 1}, {"step": 2}]
    tracking = Tracking(tmp_path, since=1)
    tracking.begin()
    assert tracking.rows == [{"step": 1}]
    tracking.close("finished")
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


class Failing(Tracker):
    def begin(self, rows):
        pass

    def write(self, row):
        raise ConnectionError("the server has gone")


def test_a_tracker_that_fails_ends_no_run(tmp_path, monkeypatch):
    from genmod.plugins.trackers import csv as module

    monkeypatch.setattr(module, "Csv", Failing)
    events = []
    result = genmod.train(
        genmod.build(**MODEL),
        directory=tmp_path / "m",
        steps=12,
        trackers=("csv",),
        device="cpu",
        on_event=events.append,
    )
    assert result.status == "finished"
    (warning,) = [event.text for event in events if event.kind == "warning"]
    assert warning == "tracker 'csv' failed and gets no more rows: ConnectionError('the server has gone')"
    assert len(in_jsonl(tmp_path / "m")) == len(result.rows)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("cvs", UsageError, "cvs"),
        ("wandb:projekt=x", (UsageError, PluginError), "projekt|which is not installed"),
        ("csv:5", UsageError, "has values without a name"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, error, words):
    with pytest.raises(error, match=words):
        Tracking(tmp_path, [text])


def test_trackers_need_a_directory():
    with pytest.raises(UsageError, match="trackers need a directory"):
        genmod.train(genmod.build(**MODEL), steps=1, device="cpu", trackers=("csv",))


def test_what_is_missing_is_named(tmp_path):
    registry = Registry(third_party=False)
    for name in ("tensorboard", "wandb", "mlflow"):
        if installed(name) is None:
            with pytest.raises(PluginError, match=f"needs {name}, which is not installed"):
                registry.find("tracker", name).load()


def test_wandb_runs_no_git(tmp_path, monkeypatch):
    asked = {}
    fake = types.ModuleType("wandb")
    fake.Settings = lambda **settings: asked.update(settings)
    fake.init = lambda **options: None
    monkeypatch.setitem(sys.modules, "wandb", fake)
    WandB(tmp_path, {}).begin([])
    assert asked["disable_git"] is True


@pytest.mark.parametrize(
    ("tracker", "name"),
    [
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        ("mlflow", "mlflow.db"),
        ("mlflow", "mlflow.db-journal"),
    ],
)
def test_links_in_a_directory_are_not_followed(tmp_path, monkeypatch, tracker, name):
    """A directory may be a stranger's, and its links lead to what is the user's."""
    for module in ("wandb", "mlflow", "mlflow.tracking", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(SummaryWriter=None, MlflowClient=None))
    model, mine = tmp_path / "model", tmp_path / "mine"
    for folder in (model, mine, mine / "offline-run-1"):
        folder.mkdir()
    (mine / "events.out.tfevents.1").write_text("")
    (model / name).symlink_to(mine)
    made = importlib.import_module(f"genmod.plugins.trackers.{tracker}")
    found = [each for each in vars(made).values() if isinstance(each, type) and each is not Tracker]
    cls = next(each for each in found if issubclass(each, Tracker))
    with pytest.raises(FileError, match="is a link"):
        cls(model, {}).begin([])
    assert len(list(mine.iterdir())) == 2
