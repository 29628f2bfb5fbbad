"""``genmod compare``."""

import json
import os
import subprocess
import sys

import pytest

import genmod as library


@pytest.fixture
def models(genmod):
    for name, latent in (("small", 2), ("large", 8)):
        made = library.build(encoder="mlp", latent=latent, settings={"encoder.hidden": [16]}, seed=1)
        library.save(made, name)


def test_command(genmod, models):
    done = genmod("compare", "small", "large", "--device", "cpu", "--format", "json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [row["model"] for row in document["models"]] == ["small", "large"]
    assert [row["latent"] for row in document["models"]] == [2, 8]
    assert {gap["metric"] for gap in document["differences"]} == {
        "elbo",
        "rate",
        "distortion",
        "bits_per_dim",
    }
    elbo = next(gap for gap in document["differences"] if gap["metric"] == "elbo")
    small, large = (row["elbo"] for row in document["models"])
    assert elbo["value"] == pytest.approx(large - small, abs=1e-9)
    assert (elbo["model"], elbo["reference"], elbo["paired"]) == ("large", "small", True)


def test_formats(genmod, models):
    arguments = ["compare", "small", "large", "--device", "cpu", "--reference", "large", "--format"]
    markdown = genmod(*arguments, "markdown").out
    assert markdown.startswith("| model | latent | elbo | elbo ± |")
    assert "| elbo | small | large |" in markdown
    latex = genmod(*arguments, "latex").out
    assert latex.count(r"\begin{tabular}") == 2
    assert r"bits\_per\_dim" in latex
    rows = genmod(*arguments, "csv").out.splitlines()
    assert len(rows) == 3
    assert rows[0].startswith("model,latent,elbo")


@pytest.mark.parametrize("how", ["json", "csv"])
def test_a_document_is_alone_on_stdout(genmod, models, monkeypatch, how):
    monkeypatch.setattr("genmod.cli.compare._draw", lambda *_, **__: None)
    done = genmod("compare", "small", "large", "--device", "cpu", "--format", how, "--pictures", "gaps.png")
    assert done.code == 0, done.err
    assert "gaps.png" not in done.out
    assert "gaps.png\n" in done.err


def test_a_reference_that_is_not_compared(genmod, models):
    done = genmod("compare", "small", "--reference", "large")
    assert done.code == 2
    assert "large is none of the models" in done.err


@pytest.mark.slow
def test_several_processes_print_what_one_does(models):
    words = ["compare", "small", "large", "-m", "elbo,fid[pixel]", "--device", "cpu", "--json"]
    one, two = (
        subprocess.run(
            [sys.executable, "-P", "-m", "genmod", *words, *more],
            capture_output=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for more in ([], ["--pictures", "gaps.png", "--processes", "2"])
    )
    assert one.stdout == two.stdout
    assert two.stderr.count(b"gaps.png") == 1
