"""``genmod report``: where the page goes, and what is refused."""

import json
import os
import re
import subprocess
import sys

import pytest

SMALL = ["--encoder", "mlp", "-s", "encoder.hidden=8", "--latent", "2"]


@pytest.fixture
def models(genmod):
    from pathlib import Path

    for name in ("model", "other"):
        assert genmod("build", *SMALL, "-o", name).code == 0
    return Path()


def test_one_model(genmod, models):
    done = genmod("report", "--device", "cpu")
    assert (done.code, done.out) == (0, "model/report.html\n")
    assert "records no training run" in done.err
    assert "seed 0" in done.err
    assert "model was not trained" in (models / "model/report.html").read_text(encoding="utf-8")
    again = genmod("report")
    assert again.code == 2
    assert "model/report.html exists" in again.err
    assert genmod("report", "--overwrite", "-q", "--device", "cpu").err == ""


def test_several_models(genmod, models):
    done = genmod("report", "model", "other", "model", "--seed", "3", "--json", "--device", "cpu")
    found = json.loads(done.out)
    assert found["report"] == "report.html"
    assert found["models"] == ["model", "other"]
    assert found["bytes"] == (models / "report.html").stat().st_size
    text = (models / "report.html").read_text(encoding="utf-8")
    assert "2 models side by side" in text
    assert "genmod report other --seed 3" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "x.pdf"], "end the name in .html"),
        (["-o", "there/x.html"], "mkdir -p there"),
        (["-o", "model"], "end the name in .html"),
        (["nothing"], "no model directory"),
        (["--metric", "nonesuch"], "nonesuch"),
        (["-s", "encoder.hidden=4"], "built already"),
        (["--device", "nonesuch"], "'nonesuch' is not a device"),
    ],
)
def test_refused(genmod, models, arguments, says):
    done = genmod("report", *arguments)
    assert done.code == 2
    assert says in done.err
    assert not (models / "model/report.html").exists()


@pytest.mark.slow
def test_several_processes_write_the_page_of_one(models):
    """The command on it is the same, so both write to one place, one after the other."""
    pages = []
    for more in ([], ["--processes", "2"]):
        words = [
            sys.executable,
            "-P",
            "-m",
            "genmod",
            "report",
            "--device",
            "cpu",
            "-m",
            "mse,nll[20]",
            "--overwrite",
        ]
        done = subprocess.run(
            [*words, *more], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert (done.returncode, done.stdout) == (0, "model/report.html\n"), done.stderr
        assert done.stderr.count("records no training run") == done.stderr.count("seed 0") == 1
        pages.append(re.sub(rb"Made [^<]* UTC", b"", (models / "model/report.html").read_bytes()))
    assert pages[0] == pages[1]
