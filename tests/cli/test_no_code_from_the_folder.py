"""No command imports what lies in the current folder, nor does any Python process that it starts."""

import os
import subprocess
import sys

import pytest

PLUGIN = """
import subprocess, sys
from genmod.registry.component import Component, hookimpl
assert "{folder}" not in sys.path
subprocess.run([sys.executable, "-c", "import json"], check=True)
@hookimpl
def genmod_components():
    yield Component("encoder", "{name}", "genmod.scaffold.templates.encoder:TemplateEncoder", summary="plain")
"""


@pytest.fixture
def planted(tmp_path):
    """A folder with modules that say when they are imported."""
    folder = tmp_path / "planted"
    folder.mkdir()
    for name in ("json", "re", "torch", "genmod", "signal", "pluggy", "random"):
        (folder / f"{name}.py").write_text("open('ran', 'w').close()\nraise SystemExit(9)\n")
    return folder


def python(folder, code, *arguments, **environ):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()
    return done.stdout


def test_processes_that_a_plugin_starts(planted, tmp_path):
    file = tmp_path / "starts.py"
    file.write_text(PLUGIN.format(folder=planted, name="starts"))
    assert "starts" in python(
        planted, "from genmod.cli import main; main()", "--plugin", str(file), "list", "encoder"
    )


@pytest.mark.slow
def test_check_looks_for_a_plugin_in_a_clean_interpreter(planted, tmp_path):
    site = tmp_path / "site"
    (site / "genmod_x-1.0.dist-info").mkdir(parents=True)
    source = "\n".join(line for line in PLUGIN.splitlines() if not line.startswith("subprocess"))
    (site / "genmod_x.py").write_text(source.format(folder=planted, name="x"))
    for name, text in (
        ("METADATA", "Metadata-Version: 2.1\nName: genmod-x\nVersion: 1.0\n"),
        ("entry_points.txt", "[genmod.v1]\nmain = genmod_x\n"),
    ):
        (site / "genmod_x-1.0.dist-info" / name).write_text(text)
    code = "from genmod.testing.checks.contract import _discovered; print(_discovered('genmod-x'))"
    assert python(planted, code, PYTHONPATH=str(site)) == "[['main', 'ok', '', []]]\n"
