"""The example plugin, installed, used from the command line, and uninstalled."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path):
    """A copy of the package: pip leaves files beside the sources that it installs."""
    return shutil.copytree(
        ROOT / "examples" / "genmod-laplace",
        tmp_path / "genmod-laplace",
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )


@pytest.mark.slow
def test_install_use_uninstall(environment, source, tmp_path):
    environment.run("pip install ./genmod-laplace", cwd=tmp_path)
    listed = json.loads(environment.run("genmod list --json", cwd=tmp_path).stdout)["components"]
    mine = {(row["kind"], row["name"]) for row in listed if row["provider"] == "genmod-laplace"}
    assert mine == {("decoder", "asymmetric-laplace"), ("prior", "asymmetric-laplace")}

    environment.run(
        "genmod build --decoder asymmetric-laplace --prior asymmetric-laplace --latent 4", cwd=tmp_path
    )
    saved = json.loads((tmp_path / "model" / "model.json").read_text())["components"]
    for kind, name in mine:
        assert (saved[kind]["name"], saved[kind]["version"]) == (f"genmod-laplace/{name}", "1.0.0")
    environment.run("genmod train --steps 3 --device cpu", cwd=tmp_path)
    environment.run("genmod sample -n 4 -o samples.png", cwd=tmp_path)
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    versions = json.loads((tmp_path / "model" / "run.json").read_text())["versions"]
    assert versions["genmod-laplace"] == "1.0.0"

    environment.run("pip uninstall --yes genmod-laplace", cwd=tmp_path)
    for command in ("genmod sample -n 4 -o again.png", "genmod train", "genmod evaluate"):
        done = environment.run(command, cwd=tmp_path, code=3)
        assert "laplace' needs the plugin genmod-laplace, which is not installed" in done.stderr
        assert "pip install genmod-laplace" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "again.png").exists()


@pytest.mark.slow
def test_its_own_tests_pass(environment, source):
    environment.run("pip install .", cwd=source)
    done = environment.run("pytest -q -p no:cacheprovider", cwd=source)
    assert " passed" in done.stdout


def test_its_plugin_module_imports_nothing_heavy(source):
    code = "import genmod_laplace.plugin, sys; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_an_older_and_a_newer_version(environment, source, tmp_path):
    """Of which each has changed what an option of the decoder means, and neither converts the other's."""

    def install(version, revision):
        project = source / "pyproject.toml"
        project.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text()))
        module = source / "genmod_laplace" / "plugin.py"
        text = re.sub(r"        revision=\d+,\n", "", module.read_text())
        place = '        summary="real values'
        assert place in text
        module.write_text(text.replace(place, f"        revision={revision},\n{place}"))
        environment.run("pip install --force-reinstall --no-deps ./genmod-laplace", cwd=tmp_path)

    parts = "--decoder asymmetric-laplace --prior asymmetric-laplace --latent 4"
    install("1.0.0", 1)
    environment.run(f"genmod build {parts} -o old", cwd=tmp_path)
    install("2.0.0", 2)
    environment.run(f"genmod build {parts} -o new", cwd=tmp_path)
    done = environment.run("genmod sample old -n 4 -o x.png", cwd=tmp_path, code=3)
    assert (
        "of genmod-laplace 2.0.0 cannot read revision 1 of its options, and it is at revision 2"
        in done.stderr
    )
    assert "pip install genmod-laplace==1.0.0" in done.stderr
    install("1.0.0", 1)
    environment.run("genmod sample old -n 4 -o x.png", cwd=tmp_path)
    done = environment.run("genmod sample new -n 4 -o y.png", cwd=tmp_path, code=3)
    assert "was saved by genmod-laplace 2.0.0 (revision 2)" in done.stderr
    assert "installed is 1.0.0, which knows revision 1" in done.stderr
    assert "hint: pip install --upgrade genmod-laplace" in done.stderr
    environment.run("pip uninstall --yes genmod-laplace", cwd=tmp_path)
