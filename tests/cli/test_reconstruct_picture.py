"""A picture of any size, reconstructed by ``genmod reconstruct --picture``."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmod import DataInfo, compose, load, resized, save
from genmod.model.assembly import assemble
from genmod.model.open_rows import open_picture


@pytest.fixture
def model(genmod, tmp_path):
    """Makes a small model of pictures in a folder here, and returns its directory."""

    def make(shape=(3, 16, 16), encoder=None, **info):
        encoder = encoder or {"name": "conv-map", "width": 4}
        parts = {"encoder": encoder, "posterior": "normal-map", "decoder": "laplace"}
        made = assemble(compose(components=parts, latent=3), DataInfo(shape, **{"levels": 256, **info}))
        return save(made, tmp_path / "here" / "model")

    return make


def _picture(path, height, width, channels=3, depth=8):
    values = np.random.default_rng(0).integers(0, 2**depth, (height, width, channels)[: 2 + (channels > 1)])
    Image.fromarray(values.astype(np.uint8 if depth == 8 else np.uint16)).save(path)
    return values


def test_it_is_that_of_python_pixel_by_pixel(genmod, model, tmp_path):
    values = _picture(tmp_path / "photo.png", 21, 34)
    place = model()
    done = genmod("reconstruct", "--picture", tmp_path / "photo.png", "-o", "again.png")
    assert done.code == 0, done.err
    assert done.out.strip() == "again.png"
    shown = np.asarray(Image.open(tmp_path / "here" / "again.png"))
    whole = resized(load(place), (3, 21, 34))
    with torch.no_grad():
        x = torch.from_numpy(values.transpose(2, 0, 1)[None] / 255).float()
        made = whole.decode(whole.encode(x).mean).mean[0].permute(1, 2, 0).numpy()
    assert shown.shape == values.shape
    assert np.abs(shown - made.clip(0, 1) * 255).max() < 0.51


def test_tiles_and_values(genmod, model, tmp_path):
    """A grey picture of 16 bits, by a model of such: the values are kept, beyond the range of those that are shown."""
    model(shape=(1, 16, 16), levels=65536)
    _picture(tmp_path / "deep.png", 40, 50, channels=1, depth=16)
    done = genmod("reconstruct", "--picture", tmp_path / "deep.png", "--tile", "32", "-o", "again.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "here" / "again.npz") as arrays:
        assert arrays["images"].shape == (1, 1, 40, 50)
    done = genmod("reconstruct", "--picture", tmp_path / "deep.png")
    assert done.out.strip() == "model/samples/reconstruction-deep.png"


def test_colours_become_grey_for_a_grey_model(genmod, model, tmp_path):
    model(shape=(1, 16, 16), levels=None, low=-1.0, high=1.0)
    values = _picture(tmp_path / "photo.png", 20, 20)
    x = open_picture(tmp_path / "photo.png", info=DataInfo((1, 16, 16), low=-1.0, high=1.0))
    grey = values @ np.array([0.299, 0.587, 0.114]) / 255 * 2 - 1
    assert np.abs(x[0, 0].numpy() - grey).max() < 0.01
    assert genmod("reconstruct", "--picture", tmp_path / "photo.png", "-o", "again.png").code == 0


def test_refused(genmod, model, tmp_path):
    model()
    _picture(tmp_path / "deep.png", 20, 20, channels=1, depth=16)
    _picture(tmp_path / "photo.png", 20, 20)
    done = genmod("reconstruct", "--picture", tmp_path / "photo.png", "-n", "3")
    assert done.code == 2
    assert "which is one picture" in done.err
    done = genmod("reconstruct", "--tile", "64")
    assert done.code == 2
    assert "--picture FILE" in done.err
    done = genmod("reconstruct", "--picture", tmp_path / "deep.png", "-o", "again.png")
    assert done.code != 0
    assert "dataset.white" in done.err
    deep = ["reconstruct", "--picture", tmp_path / "deep.png", "-s", "dataset.depth=8", "-o", "again.png"]
    assert genmod(*deep).code == 0
    for i in range(2):
        _picture(tmp_path / "here" / f"{i}.png", 20, 20)
    done = genmod("reconstruct", "--picture", tmp_path / "here", "-o", "again2.png")
    assert done.code == 2
    assert "one picture is needed" in done.err


@pytest.mark.slow
def test_a_large_picture_takes_less_than_three_gibibytes(genmod, model, tmp_path):
    """In a process of its own, whose peak is asked of the system."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("the system does not say how much memory a process had")
    model(encoder={"name": "conv-map", "width": 4, "halve": 4, "blocks": 0})
    small = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(small).resize((4096, 4096)).save(tmp_path / "here" / "large.png", compress_level=1)
    code = (
        "import sys\nfrom genmod.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as e:\n"
        "    assert not e.code\nprint(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", code, "reconstruct", "--picture", "large.png", "-o", "again.png", "-q"]
    done = subprocess.run(command, cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-2]) * 1024 < 3 * 2**30
    assert Image.open(tmp_path / "here" / "again.png").size == (4096, 4096)
