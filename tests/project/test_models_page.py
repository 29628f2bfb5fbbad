"""The page of models says what there is, and every line of it runs."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from genmod.cli import main
from genmod.registry.lookup import Registry

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = (EXAMPLES / "MODELS.md").read_text(encoding="utf-8")
LARGE = ("autoencoder-kl", "fsq-gan", "vqgan")
"""Recipes of more than 50 million weights: steps of theirs take minutes here."""
LINES = re.findall(r"`(genmod [^`]*)` \|", PAGE)


def test_the_page_is_that_of_the_recipes():
    spec = importlib.util.spec_from_file_location("models_page", EXAMPLES / "models.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.page() == PAGE


def test_every_recipe_is_on_it():
    recipes = Registry(third_party=False).names("recipe")
    assert {shlex.split(line)[2] for line in LINES} >= set(recipes)


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_line(line, tmp_path, monkeypatch):
    """Each model is built, trained for a moment and drawn from, where that is defined, as the line has it."""
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(each)[1:] for each in line.split("&&")]
    if commands[0][1] in LARGE:
        assert _run([*commands[0], "--dry-run"]) == 0
        return
    if len(commands) == 1:
        commands += [["train"]]
    for command in commands:
        if command[0] == "train":
            command += ["--steps", "3"]
        if command[0] == "fit-sampler" and command[2] in {"flow", "vae"}:
            command += ["-s", "sampler.steps=3"]
        assert _run(command) == 0, command
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert list((tmp_path / "model" / "samples").glob("*.png"))


def _run(command):
    try:
        main(command)
    except SystemExit as done:
        return done.code or 0
    return 0
