"""The tutorial of tokenizers: its commands run one after the other, with fewer pictures and steps."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "examples" / "tokenizer"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
FEWER = {"--count 3000": "--count 40", "sampler.steps=3000": "sampler.steps=4"}


@pytest.mark.slow
def test_the_whole_way(walk):
    shutil.copy(FOLDER / "make_photos.py", walk.folder)
    assert all(TEXT.count(many) == 1 for many in FEWER)
    for command in walk.commands(TEXT):
        line = command.line
        for many, few in FEWER.items():
            line = line.replace(many, few)
        walk.follow(replace(command, line=line))
    with (
        Image.open(walk.folder / "photos" / "00003.png") as before,
        Image.open(walk.folder / "again.png") as after,
    ):
        assert before.size == after.size
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    autoencoder = diffusers.AutoencoderKL.from_pretrained(walk.folder / "for-diffusers")
    assert autoencoder.config.latent_channels == 4
