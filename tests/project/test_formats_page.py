"""The page of file formats says what is written: every field is on it, and what is on it is written somewhere."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import genmod
from genmod.bundle.directory import ModelDirectory
from genmod.data.code_folder import CodeFolder
from genmod.data.column import Column
from genmod.data.dataset import DataInfo

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def described(heading, after=""):
    """The fields of a table: the first below a heading, or the first that begins with a column of that name."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section, heading
    table = section.partition(f"| {after or 'field'} |")[2].partition("\n\n")[0]
    names = [re.findall(r"`([\w.]+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    return {name for each in names for name in each}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats") / "model"
    model = genmod.build(
        latent=2, encoder="mlp", settings={"encoder.hidden": [4], "objective.beta": "0->1 over 2 steps"}
    )
    genmod.train(model, steps=2, directory=folder, device="cpu", ema=0.5, skip=1e9)
    genmod.fit_sampler(model, sampler="gaussian")
    genmod.save(model, folder.parent / "with-sampler")
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_model_description(directory):
    written = read(directory / "model.json")
    assert set(written) == described("`model.json`")
    for part in written["components"].values():
        assert set(part) == described("`model.json`", "field of a component")
    assert described("`model.json`", "field of the data") == {field.name for field in fields(DataInfo)}
    assert set(written["data"]) <= described("`model.json`", "field of the data")
    column = Column("age", "real", "Float64").to_json()
    assert set(column) <= described("`model.json`", "field of a column") == {f.name for f in fields(Column)}


def test_weights(directory):
    with safe_open(directory / "model.safetensors", "pt") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert set(json.loads(metadata["genmod"])) == described("Weights", "field of the metadata")
    assert "encoder.layers.0.weight" in names
    parts = {name.partition(".")[0] for name in names}
    assert parts <= set(re.findall(r"`(\w+)`", PAGE.partition("Parts are")[2].partition(". The header")[0]))


def test_record(directory):
    assert described("`run.json`") - set(read(directory / "run.json")) == {"before"}
    assert set(read(directory / "run.json")) <= described("`run.json`")


def test_rows(directory):
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    also = {"skipped", "objective.beta"}
    assert described("`metrics.jsonl`") <= set().union(*rows) <= described("`metrics.jsonl`") | also
    assert also <= set(rows[0])


def test_checkpoint(directory):
    heading = "`checkpoints/step-00001234/`"
    place = max(ModelDirectory(directory).checkpoints.iterdir())
    assert {path.name for path in place.iterdir()} == described(heading, "file")
    assert set(read(place / "state.json")) == described(heading, "field of the state")
    assert set(read(place / "manifest.json")) == {"format", "files"}


def test_sampler(directory):
    assert set(read(directory.parent / "with-sampler" / "sampler" / "sampler.json")) == described(
        "`sampler/`"
    )


def test_codes():
    folder = CodeFolder("means", DataInfo((2,), -torch.inf, torch.inf), {"train": 5}, shard=2)
    assert set(folder.to_json()) == described("A folder of codes")
