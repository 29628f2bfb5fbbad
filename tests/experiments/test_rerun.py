"""Runs are repeated from their records, which are a stranger's files."""

import json
import shutil

import numpy as np
import pytest
import torch

import genmod
from genmod.errors import FileError, UsageError
from genmod.experiments.rerun import RecordedRun, free_place, same_weights

SETTINGS = {"steps": 5, "batch_size": 32, "device": "cpu", "seed": 4, "ema": 0.9, "film_every": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "model"
    model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]}, seed=3)
    genmod.train(model, directory=place, **SETTINGS)
    return place


@pytest.fixture
def run(trained, tmp_path):
    """A copy, and a function that changes its record."""
    place = tmp_path / "model"
    shutil.copytree(trained, place)

    def changed(**entries):
        record = json.loads((place / "run.json").read_text())
        record = {key: value for key, value in (record | entries).items() if value is not ...}
        (place / "run.json").write_text(json.dumps(record))
        return place

    return changed


def repeated(place, to):
    found = RecordedRun.of(place)
    model = found.model()
    genmod.train(model, found.dataset(), directory=to, settings=found.settings)
    return model


def test_a_run_is_repeated_to_the_last_bit(trained, tmp_path):
    found = RecordedRun.of(trained)
    assert (found.seed, found.settings.seed, found.differences()) == (3, 4, [])
    repeated(trained, tmp_path / "again")
    assert same_weights(trained, tmp_path / "again")
    rows = [(place / "metrics.jsonl").read_text() for place in (trained, tmp_path / "again")]
    assert rows[0] == rows[1]
    # A repetition has the record that is needed to repeat it.
    assert RecordedRun.of(tmp_path / "again").sha256 == found.sha256


def test_a_run_that_was_interrupted_and_resumed_is_repeated_whole(trained, tmp_path, stop_at):
    model = RecordedRun.of(trained).model()
    stop_at(model, 3)
    with pytest.raises(KeyboardInterrupt):
        genmod.train(model, directory=tmp_path / "cut", **SETTINGS)
    genmod.train(genmod.load(tmp_path / "cut", weights="last"), directory=tmp_path / "cut", resume=True)
    assert RecordedRun.of(tmp_path / "cut").sha256 == RecordedRun.of(trained).sha256
    repeated(tmp_path / "cut", tmp_path / "again")
    assert same_weights(trained, tmp_path / "again")


@pytest.mark.slow
def test_other_data_than_the_model_was_built_for_are_recorded(tmp_path):
    for name, count in (("x", 40), ("y", 30)):
        np.savez(tmp_path / f"{name}.npz", x_train=np.random.default_rng(0).normal(size=(count, 3)))
    model = genmod.build(data=tmp_path / "x.npz", latent=2)
    genmod.train(model, tmp_path / "y.npz", directory=tmp_path / "other", **SETTINGS)
    found = RecordedRun.of(tmp_path / "other")
    assert found.data.options["path"] == str(tmp_path / "y.npz")
    assert found.spec.components["dataset"].options["path"] == str(tmp_path / "x.npz")
    assert len(found.dataset().split("train")) < 30
    genmod.train(found.model(), torch.randn(40, 3), directory=tmp_path / "given", **SETTINGS)
    with pytest.raises(FileError, match="data that were given in Python"):
        RecordedRun.of(tmp_path / "given")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"settings": ...}, "no record of a run with its settings"),
        ({"settings": {"steps": 5, "run": "rm -rf ~"}}, "no such setting: run"),
        ({"settings": {"steps": -5}}, "steps is -5"),
        ({"settings": {"optimizer": 3}}, "optimizer is 3"),
        ({"settings": {"freeze": [[]]}}, "freeze is"),
        ({"settings": {"optimizer_options": []}}, None),
        ({"weights": ...}, "does not say which seed"),
        ({"weights": {"seed": None}}, "not drawn from a seed"),
        ({"weights": {"seed": "3"}}, "its seed is '3'"),
        ({"weights": {"seed": 2**70}}, "is damaged: its seed"),
        ({"weights": 3}, "is damaged: its weights"),
        ({"data": {"path": "x"}}, "is damaged: its data"),
        ({"data": None}, "given in Python"),
    ],
)
def test_a_record_that_lacks_or_invents_something_is_refused(run, entries, message):
    place = run(**entries)
    if message is None:
        RecordedRun.of(place)
        return
    with pytest.raises(FileError, match=message) as refused:
        RecordedRun.of(place)
    assert refused.value.hint


def test_weights_of_an_earlier_run_are_not_taken_for_fresh_ones(trained, tmp_path):
    model = RecordedRun.of(trained).model()
    genmod.train(model, **SETTINGS)
    genmod.train(model, directory=tmp_path / "second", **SETTINGS)
    with pytest.raises(FileError, match="did not begin with weights drawn from seed 3"):
        RecordedRun.of(tmp_path / "second").model()


def test_what_a_stranger_writes_sends_nothing_and_starts_no_crowd(run):
    settings = {**SETTINGS, "trackers": ["wandb:mode=online"], "workers": 10**9}
    found = RecordedRun.of(run(settings=settings, command=["rm", "-rf", "/"], git={"commit": "x"}))
    assert found.settings.trackers == ()
    assert found.settings.workers < 10_000


def test_changes_of_versions_and_machine_are_said(run):
    record = json.loads((run() / "run.json").read_text())
    changed = {**record["versions"], "torch": "1.0", "numpy": "0.1", "vanished": "9"}
    there = {**record["environment"], "threads": 77}
    found = RecordedRun.of(run(versions=changed, environment=there)).differences()
    assert [each.partition(":")[0] for each in found] == ["torch", "numpy", "vanished", "threads"]
    assert "vanished: 9 → not installed" in found


def test_no_more_is_said_than_can_be_read(run):
    versions = {f"{number}{'x' * 1000}": "9" * 1000 for number in range(400)}
    found = RecordedRun.of(run(versions=versions)).differences()
    assert len(found) < 60
    assert max(map(len, found)) < 250
    assert "others" in found[50]
    settings = {"augment": "x" * 10_000, "optimizer_options": {"x": [0.0] * 5000}, **{"x" * 9999: 1}}
    for given in (settings, {name: value for name, value in settings.items() if len(name) < 99}):
        with pytest.raises(FileError) as refused:
            RecordedRun.of(run(settings=given))
        assert len(refused.value.message) < 1000


def test_the_seed_can_be_given_where_an_older_version_recorded_none(run):
    place = run(weights=..., data=...)
    found = RecordedRun.of(place, seed=3)
    assert (found.seed, found.sha256, found.data) == (3, "", None)
    found.model()
    with pytest.raises(UsageError, match="began with the weights of seed 3"):
        RecordedRun.of(run(weights={"seed": 3}), seed=5)


def test_places_beside_it_are_found_in_turn(tmp_path):
    assert free_place(tmp_path / "model") == tmp_path / "model-rerun"
    (tmp_path / "model-rerun").mkdir()
    assert free_place(tmp_path / "model").name == "model-rerun-2"
