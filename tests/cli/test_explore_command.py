"""``genmod explore``: one page in a file, or served until Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from genmod.errors import DataError


@pytest.fixture
def built(genmod):
    assert genmod("build", "--encoder", "mlp", "--latent", "2", "-o", "my model", "-q").code == 0
    return "my model"


def test_export_writes_one_page_and_replaces_none(genmod, built):
    done = genmod("explore", built, "--export", "page.html")
    assert done.code == 0, done.err
    assert done.out == "page.html\n"
    assert "seed 0" in done.err
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<title>my model · genmod</title>" in page
    # Neither where the model is nor anything of another place.
    assert str(Path.cwd()) not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)[^"']""", page)
    assert "http://" not in page
    assert "https://" not in page
    again = genmod("explore", built, "--export", "page.html")
    assert again.code == 2
    assert "--overwrite" in again.err


def test_a_page_without_examples_has_nothing_of_the_data(genmod, built, monkeypatch):
    """Not even read; and a page with them says what it holds."""
    from genmod.explorer import Page

    scenes = []
    monkeypatch.setattr(
        "genmod.explorer.standalone",
        lambda model, plain, **options: (scenes.append(plain), (Page("page", ""), ""))[1],
    )
    done = genmod("explore", built, "--export", "page.html", "-n", "60", "--json")
    assert json.loads(done.out)["examples"] == scenes[0]["examples"] == 60
    assert "codes of 60 examples of the data, and small pictures of 60 of them" in " ".join(done.err.split())
    monkeypatch.setattr("genmod.cli.explore.open_split", None)
    monkeypatch.setenv("GENMOD_DATA", ".")  # was not typed, and so is not refused
    done = genmod("explore", built, "--export", "page.html", "--no-examples", "--overwrite")
    assert done.code == 0, done.err
    assert "of the data" not in done.err
    assert (scenes[1]["examples"], scenes[1]["pictures"], scenes[1]["colours"]) == (0, None, [])
    assert genmod("build", "autoencoder", "--encoder", "mlp", "-o", "plain", "-q").code == 0
    refused = genmod("explore", "plain", "--export", "plain.html", "--no-examples")
    assert refused.code == 2
    assert "no prior" in refused.err


@pytest.mark.slow
def test_half_is_half_and_overwrite_replaces(genmod, built):
    sizes = []
    for options in ([], ["--overwrite", "--half"]):
        done = genmod("explore", built, "--export", "page.html", *options)
        assert done.code == 0, done.err
        sizes.append(Path("page.html").stat().st_size)
    assert sizes[1] < 0.75 * sizes[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--export", "page.png"], ".html"),
        (["--export", "nowhere/page.html"], "mkdir"),
        (["--export", "page.html", "--port", "8000"], "--port"),
        (["--export", "page.html", "--no-browser"], "--no-browser"),
        (["--half"], "--export"),
        (["--no-examples"], "--export"),
        (["--overwrite"], "--export"),
        (["--port", "0"], "--port"),
        (["--port", "70000"], "--port"),
        (["--host", "0.0.0.0"], "--host"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(genmod, arguments, said):
    done = genmod("explore", "no-such-model", *arguments)
    assert done.code == 2
    assert said in done.err
    assert "no-such-model" not in done.err


def test_without_data_the_map_shows_draws_from_the_prior(genmod, built, monkeypatch):
    def nothing(*arguments):
        raise DataError("the files are missing\nand could not be downloaded")

    monkeypatch.setattr("genmod.cli.explore.open_split", nothing)
    written = []
    monkeypatch.setattr(
        "genmod.cli.explore._write", lambda model, examples, *rest, **options: written.append(examples)
    )
    done = genmod("explore", built, "--export", "page.html")
    assert done.code == 0
    assert written == [None]
    assert "draws from the prior: the files are missing" in done.err
    assert genmod("build", "autoencoder", "--encoder", "mlp", "-o", "plain", "-q").code == 0
    refused = genmod("explore", "plain", "--export", "plain.html")
    assert refused.code == 2
    assert "the files are missing" in refused.err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing on Windows")
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_told_to_stop(genmod, built, sign, code):
    command = [sys.executable, "-m", "genmod", "explore", built, "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            url = running.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{20,}", url)
            with urllib.request.urlopen(url) as answer:
                page = answer.read().decode()
            assert "my model" in page
            assert str(Path.cwd()) not in page
            running.send_signal(sign)
            out, err = running.communicate()
        finally:
            running.kill()
    assert running.returncode == code
    assert out == ""
    assert "Traceback" not in err
