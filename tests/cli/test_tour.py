"""The first hour: the commands of the README's beginning typed into a shell, and what is seen meanwhile and afterwards."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TOUR = [
    ("genmod build --encoder conv --prior normal", ["total", "wrote model", "genmod train"]),
    ("genmod train --epochs 3", ["finished after 30 steps", "elbo", "samples.png"]),
    ("genmod evaluate", ["elbo", "standard"]),
    ("genmod sample -n 16 --seed 1", ["seed 1", "model/samples/samples.png"]),
    ("genmod reconstruct", ["reconstructions.png"]),
    ("genmod interpolate --spherical", ["interpolations.png"]),
    ("genmod traverse", ["traversals.png"]),
    ("genmod latents", ["latents.png"]),
    ("genmod report", ["report.html"]),
    ("genmod plot", ["curves.png"]),
    ("genmod explore --export latent-space.html", ["latent-space.html"]),
    ("genmod build autoencoder -o ae", ["wrote ae"]),
    ("genmod train ae --epochs 2", ["finished after 20 steps"]),
    ("genmod fit-sampler ae --sampler gmm", ["fitted gmm", "genmod sample ae"]),
    (
        "genmod sweep -s objective.beta=1,4 -s train.epochs=1",
        ["run 1 of 2", "beta=4", "genmod compare sweep/*"],
    ),
    ("genmod compare sweep/*", ["elbo", "paired"]),
    ("genmod list recipe", ["beta-vae"]),
    ("genmod show encoder conv", ["encoder.channels", "example: genmod build"]),
    ("genmod plugins", ["genmod-torch"]),
    ("genmod info", ["python"]),
]


@pytest.fixture
def shell(terminals, tmp_path):
    """A shell at a terminal of some width, in an empty folder."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("GENMOD_", "PYTEST", "COLUMNS"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{plain['PATH']}"
    environment = {**plain, "PATH": path, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "here"
    folder.mkdir()
    return lambda columns: terminals.Shell(columns, folder, environment)


def check(seen, columns, line, wanted):
    """Whether it was done, fits the terminal, says what it should, and ends with what to do next."""
    assert seen.code == 0, "\n".join(seen.lines)
    assert seen.too_wide(columns) == [], line
    text = " ".join(seen.words)
    assert "Traceback" not in text
    assert "error: " not in text
    for fragment in wanted:
        assert fragment in text, line
    assert seen.lines[-1].startswith(("next: ", "example: ")), line


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tour(terminals, columns, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    at = terminals.Terminal(columns, monkeypatch)
    for line, wanted in TOUR:
        words = [
            each for word in shlex.split(line)[1:] for each in (sorted(map(str, Path().glob(word))) or [word])
        ]
        check(at.genmod(*words), columns, line, wanted)


def test_beginning_in_a_shell(shell):
    with shell(80) as typed:
        for line, wanted in TOUR[:3]:
            check(typed.type(line), 80, line, wanted)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_training_shows_its_progress_and_goes_on_after_ctrl_c(shell, columns):
    with shell(columns) as typed:
        typed.type("genmod build --encoder mlp -s encoder.hidden=16")
        seen = typed.type("genmod train --epochs 400", press="\x03", after=r"validation [\d.]+ \(best\)")
        assert seen.code == 130
        assert re.search(r"epoch \d+\.\d  [━╌]{8,}  \d+/4000  \d+:\d\d left", seen.written_plain)
        assert re.search(r"loss \d+\.\d\d .*validation \d+\.\d\d \(best\)", seen.written_plain)
        assert "Traceback" not in seen.written
        assert seen.lines[-1].endswith("genmod train --resume"), seen.lines
        assert not any("━" in line for line in seen.lines), "the bar stays behind"
        again = typed.type("genmod train --resume", press="\x03", after="━")
        assert again.code == 130
        assert "continuing from step" in again.lines[0]
