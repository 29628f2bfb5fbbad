"""A model directory says what its weights were trained with, also where that has changed since it was built."""

import json
from dataclasses import replace

import pytest
import torch

import genmod
from genmod.bundle.directory import ModelDirectory
from genmod.errors import FileError, PluginError, PluginWarning, UsageError
from genmod.experiments.rerun import RecordedRun
from genmod.registry.lookup import Registry, use_registry
from genmod.registry.provided import Provided

HOW = {"batch_size": 20, "device": "cpu", "film_every": 0}
SOURCE = """
from genmod import Component, hookimpl
from genmod.scaffold.templates.encoder import TemplateEncoder

class Own(TemplateEncoder):
    '''Mine.'''

@hookimpl
def genmod_components():
    yield Component("encoder", "own", "own_file:Own", summary="mine")
"""


@pytest.fixture
def file(plugin_file):
    return plugin_file("own_file", SOURCE)


@pytest.fixture
def data():
    return torch.rand(60, 4, 4, generator=torch.Generator().manual_seed(0))


def version(place):
    return ModelDirectory(place).read_spec()[0].components["encoder"].version


def trained(place, data, steps, **how):
    model = genmod.load(place, weights="last")
    return genmod.train(model, data, directory=place, steps=steps, **HOW, **how)


@pytest.fixture
def built(file, data, tmp_path):
    with use_registry(Registry(files=[file])):
        return genmod.save(genmod.build(data=data, encoder="own", latent=2), tmp_path / "model")


@pytest.mark.filterwarnings("ignore::genmod.errors.PluginWarning")
@pytest.mark.parametrize("begun", [False, True], ids=["from the beginning", "resumed"])
def test_a_change_that_was_accepted_for_training_is_accepted_for_good(built, file, data, begun):
    before = version(built)
    if begun:
        with use_registry(Registry(files=[file])):
            trained(built, data, 2, schedule="constant")
    file.write_text(SOURCE + "x = 1\n")
    with use_registry(Registry(files=[file])), pytest.raises(PluginError, match="saved with another"):
        genmod.load(built)
    assert version(built) == before
    with use_registry(Registry(files=[file], accept_changed=True)):
        trained(built, data, 4, schedule="constant", resume=begun)
    assert version(built) == Registry(files=[file]).find("encoder", "own").version != before
    with use_registry(Registry(files=[file])):
        genmod.load(built)
    recorded = json.loads((built / "run.json").read_text())["versions"]
    assert recorded["./own_file.py"] == version(built)


def test_to_look_at_a_model_accepts_nothing_for_good(built, file, data):
    before = (built / "model.json").read_bytes()
    file.write_text(SOURCE + "x = 1\n")
    with (
        use_registry(Registry(files=[file], accept_changed=True)),
        pytest.warns(PluginWarning, match="used as it is now"),
    ):
        genmod.load(built)
    assert (built / "model.json").read_bytes() == before


def test_a_package_that_was_upgraded(file, data, built, monkeypatch):
    with use_registry(Registry(files=[file])):
        trained(built, data, 2, schedule="constant")
        before = version(built)
        found = Registry.find
        monkeypatch.setattr(
            Registry, "find", lambda *which: upgraded(found(*which)) if "own" in which[2] else found(*which)
        )
        monkeypatch.setattr("genmod.registry.migration.is_local", lambda name: False)
        trained(built, data, 4, schedule="constant", resume=True)
    assert (before.startswith("sha256:"), version(built)) == (True, "2.0")


def upgraded(provided: Provided) -> Provided:
    return replace(provided, version="2.0")


def test_the_record_tells_a_repetition_of_another_file(file, tmp_path):
    with use_registry(Registry(files=[file])):
        model = genmod.build(encoder="own", latent=2)
        genmod.train(model, directory=tmp_path / "model", steps=1, **HOW)
        assert RecordedRun.of(tmp_path / "model").differences() == []
    file.write_text(SOURCE + "x = 1\n")
    with use_registry(Registry(files=[file], accept_changed=True)), pytest.warns(PluginWarning):
        [changed] = RecordedRun.of(tmp_path / "model").differences()
    assert changed.startswith("./own_file.py: sha256:")
    assert len(changed) < 70


def test_a_model_that_was_never_trained_gives_way_to_another(data, tmp_path):
    place = genmod.save(genmod.build(data=data, encoder="mlp", latent=3, seed=1), tmp_path / "model")
    other = genmod.build(data=data, encoder="mlp", latent=2, seed=5)
    genmod.train(other, data, directory=place, steps=1, **HOW)
    again = genmod.load(place)
    assert (again.latent_shape, again.weights_seed) == ((2,), 5)
    assert torch.equal(again.encode(data[:2, None]).mean, other.encode(data[:2, None]).mean)


def test_it_stays_where_the_other_is_refused(data, tmp_path):
    place = genmod.save(genmod.build(data=data, encoder="mlp", latent=3), tmp_path / "model")
    other = genmod.build(data=data, encoder="mlp", latent=2)
    with pytest.raises(UsageError, match="nosuch"):
        genmod.train(other, data, directory=place, steps=1, freeze=("nosuch",), **HOW)
    assert genmod.load(place).latent_shape == (3,)


def test_a_trained_model_gives_way_to_another_where_that_is_asked(data, tmp_path):
    place = tmp_path / "model"
    genmod.train(genmod.build(data=data, encoder="mlp", latent=3), data, directory=place, steps=1, **HOW)
    other = genmod.build(data=data, encoder="mlp", latent=2)
    with pytest.raises(FileError, match="holds a trained model"):
        genmod.train(other, data, directory=place, steps=1, **HOW)
    genmod.train(other, data, directory=place, steps=1, overwrite=True, **HOW)
    assert genmod.load(place).latent_shape == (2,)
