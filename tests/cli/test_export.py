"""``genmod export`` and ``genmod build --from``: what is printed, what is written, what is left alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

RECORDED = Path(__file__).parents[1] / "plugins" / "formats" / "recorded" / "kl"
FILES = ["config.json", "diffusion_pytorch_model.safetensors"]


@pytest.fixture
def imported(genmod):
    """A model of a folder of diffusers, in the default directory, and pictures."""
    shutil.copytree(RECORDED, "vae")
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(f"photos/{i}.png")
    return genmod("build", "--from", "diffusers:vae", "--data", "photos")


def test_there_and_back(genmod, imported):
    assert imported.code == 0
    assert imported.err == "wrote model, with the weights of diffusers:vae\nnext: genmod evaluate\n"
    done = genmod("export", "--format", "diffusers", "-o", "out")
    assert (done.code, done.out) == (0, "out\n")
    assert "scaling_factor " in done.err
    assert "measured on 10 training pictures" in done.err
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    before, after = load_file("vae/" + FILES[1]), load_file("out/" + FILES[1])
    assert {key: t.shape for key, t in after.items()} == {key: t.shape for key, t in before.items()}
    as_json = genmod("export", "--format", "diffusers", "-o", "other", "-s", "format.scaling=0.5", "--json")
    plain = json.loads(as_json.out)
    assert (plain["directory"], plain["files"]) == ("other", FILES)
    assert json.loads(Path("other/config.json").read_text())["scaling_factor"] == 0.5


def test_what_is_there_is_left_alone(genmod, imported):
    export = ("export", "--format", "diffusers", "-s", "format.scaling=0.5", "-o")
    Path("out").mkdir()
    Path("out/config.json").write_text("mine")
    Path("out/notes.txt").write_text("mine")
    refused = genmod(*export, "out")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert Path("out/config.json").read_text() == "mine"
    # Of an export that was killed.
    Path("out/.export.0a1b2c3d.tmp").mkdir()
    Path("out/.export.0a1b2c3d.tmp/config.json").write_text("{}")
    assert genmod(*export, "out", "--overwrite").code == 0
    assert Path("out/notes.txt").read_text() == "mine"
    assert sorted(path.name for path in Path("out").iterdir()) == [*FILES, "notes.txt"]
    assert json.loads(Path("out/config.json").read_text())["scaling_factor"] == 0.5
    Path("target").mkdir()
    Path("link").symlink_to("target")
    Path("linked").mkdir()
    Path("linked/config.json").symlink_to("../out/notes.txt")
    for place, said in {
        "model": "is a model directory of genmod",
        "link": "exists and is no folder",
        "out/notes.txt": "exists and is no folder",
        "linked": "is a link",
    }.items():
        done = genmod(*export, place, "--overwrite")
        assert done.code == 2, place
        assert said in done.err
    assert Path("out/notes.txt").read_text() == "mine"
    assert not any(Path("target").iterdir())


ERRORS = [
    ("export -o out", "Missing option '--format'", "genmod export --help"),
    ("export --format diffuser -o out", "there is no format 'diffuser'", "did you mean diffusers"),
    ("export --format diffusers -o out -s format.scale=1", "format.scale: no such option", "scaling"),
    ("export --format diffusers -o out -s encoder.x=1", "encoder.x cannot be set", "format.OPTION"),
    ("build --from diffusers:vae -o b", "takes data of shape 3×any×any", "--data"),
    (
        "build --from diffusers:vae --latent 4 -o b",
        "latent is that of diffusers:vae",
        "leave out --latent",
    ),
    ("build --from diffusers:photos -o b", "photos has no config.json", "save_pretrained"),
    ("build --from diffusers -o b", "names no folder", "--from diffusers:"),
]


def test_errors_say_what_to_type(genmod, imported):
    for words, said, hint in ERRORS:
        done = genmod(*words.split())
        assert done.code == 2, words
        assert said in done.err
        assert hint in done.err
        assert not Path("out").exists()
        assert not Path("b").exists()


@pytest.mark.slow
def test_a_dry_run_reads_the_weights_and_writes_nothing(genmod, imported):
    done = genmod("build", "--from", "diffusers:vae", "--data", "photos", "-o", "b", "--dry-run")
    assert done.code == 0
    assert not Path("b").exists()
    (Path("vae") / FILES[1]).write_bytes(b"")
    assert genmod("build", "--from", "diffusers:vae", "--data", "photos", "-o", "b", "--dry-run").code == 2


@pytest.mark.slow
def test_the_decoder_alone_is_trained(genmod, imported):
    before = load_file("model/model.safetensors")
    done = genmod("train", "--freeze", "encoder,posterior", "--steps", 2, "--batch-size", 4)
    assert done.code == 0
    after = load_file("model/last.safetensors")
    moved = {name.partition(".")[0] for name, tensor in after.items() if not tensor.equal(before[name])}
    assert moved == {"network", "decoder"}
