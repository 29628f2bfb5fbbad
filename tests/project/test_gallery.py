"""The example packages: a likelihood, a divergence and a dataset, each found, built with, tested and installed as it stands."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genmod.registry.lookup import Registry, use_registry

EXAMPLES = Path(__file__).parents[2] / "examples"
GALLERY = {
    "genmod-gennorm": ("decoder", "generalised-normal", ("--decoder", "generalised-normal")),
    "genmod-energy": ("divergence", "energy", ("--divergence", "energy")),
    "genmod-series": ("dataset", "series", ("--data", "series", "--encoder", "mlp", "--decoder", "gaussian")),
}
"""Package → kind and name of its component, and the flags of a model with it."""


def copied(name, folder):
    """A copy of the package: pip leaves files beside the sources that it installs."""
    rubbish = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    return shutil.copytree(EXAMPLES / name, folder / name, ignore=rubbish)


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """The packages on the path, with metadata written by hand."""
    for name in GALLERY:
        project = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["project"]
        info = tmp_path / f"{name.replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n"
        )
        points = [f"{key} = {at}\n" for key, at in project["entry-points"]["genmod.v1"].items()]
        (info / "entry_points.txt").write_text("[genmod.v1]\n" + "".join(points))
        monkeypatch.syspath_prepend(str(EXAMPLES / name))
    monkeypatch.syspath_prepend(str(tmp_path))
    with use_registry(Registry()) as registry:
        yield registry
    for module in [each for each in sys.modules if each.partition(".")[0].replace("_", "-") in GALLERY]:
        del sys.modules[module]


@pytest.mark.parametrize("name", GALLERY)
def test_a_model_is_built_with_it(registered, name, tmp_path, monkeypatch, capsys):
    from genmod.cli import main

    kind, component, flags = GALLERY[name]
    assert registered.find(kind, component).qualified == f"{name}/{component}"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(["build", *flags, "--latent", "2"])
    assert exit.value.code == 0, capsys.readouterr().err
    saved = json.loads((tmp_path / "model" / "model.json").read_text())["components"][kind]
    assert (saved["name"], saved["version"]) == (f"{name}/{component}", "1.0.0")


def test_their_plugin_modules_import_nothing_heavy():
    modules = ", ".join(f"{name.replace('-', '_')}.plugin" for name in GALLERY)
    code = f"import {modules}, sys; print({{'torch', 'numpy', 'pydantic'}} & set(sys.modules))"
    path = os.pathsep.join(str(EXAMPLES / name) for name in GALLERY)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY)
def test_it_is_installed_tested_and_used_as_its_readme_says(walk, name):
    package = copied(name, walk.folder)
    (walk.folder / "examples").mkdir()
    package = package.rename(walk.folder / "examples" / name)
    (walk.folder / "mine.csv").write_text("t,a\n" + "".join(f"{i},{i % 7}\n" for i in range(400)))
    for command in walk.commands((package / "README.md").read_text(encoding="utf-8")):
        # No index is asked for what the tests need.
        line = command.line.replace(f"'./examples/{name}[test]'", f"./examples/{name}")
        done = walk.environment.run(f"({line}) 2>&1", cwd=walk.folder)
        if line.startswith("pytest"):
            assert " passed" in done.stdout
            assert "failed" not in done.stdout
    _, _, flags = GALLERY[name]
    walk.environment.run(["genmod", "build", *flags, "-o", "again"], cwd=walk.folder)
    walk.environment.run("genmod train again --steps 3 --device cpu", cwd=walk.folder)
    walk.environment.run(f"pip uninstall --yes {name}", cwd=walk.folder)
