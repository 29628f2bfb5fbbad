"""What is installed: the list of packages, the wheel's contents, and the program from an empty folder."""

import configparser
import json
import shutil
import tomllib
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = {
    folder: package.replace(".", "/")
    for package, folder in SETTINGS["tool"]["setuptools"]["package-dir"].items()
}
"""Folder in the checkout → path in the wheel."""


def files(pattern):
    """Path in the wheel of every file of the sources that matches."""
    return {
        f"{path}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, path in SOURCES.items()
        for file in (ROOT / folder).rglob(pattern)
    }


def test_every_package_is_listed():
    folders = {name.rpartition("/")[0].replace("/", ".") for name in files("*.py")}
    assert sorted(folders) == SETTINGS["tool"]["setuptools"]["packages"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what a build may need, without remains of earlier builds."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(bare_environment, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    bare_environment.run(["pip", "wheel", "--no-deps", "--wheel-dir", folder, source], cwd=folder)
    (path,) = folder.glob("genmod_torch-*.whl")
    return path


def contents(wheel):
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        about = {
            name.rpartition("/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }
    return names, about


def test_wheel_holds_every_source_file_and_nothing_else(wheel):
    names, _ = contents(wheel)
    data = set().union(
        *(files(f"*.{suffix}") for suffix in ("toml", "safetensors", "jinja", "html", "css", "js"))
    )
    assert sorted(names) == sorted(files("*.py") | data | {"genmod/py.typed"})


def test_wheel_metadata(wheel):
    _, about = contents(wheel)
    metadata = message_from_string(about["METADATA"])
    assert metadata["Name"] == "genmod-torch"
    assert metadata["License-Expression"] == "MIT"
    assert "LICENSE" in about
    entries = configparser.ConfigParser()
    entries.read_string(about["entry_points.txt"])
    assert dict(entries["console_scripts"]) == {"genmod": "genmod.cli:main"}
    assert dict(entries["genmod.v1"]) == {"builtin": "genmod.plugins"}


@pytest.mark.slow
def test_source_distribution_gives_the_same_wheel(bare_environment, source, wheel, tmp_path):
    bare_environment.run(
        ["python", "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, source], cwd=tmp_path
    )
    bare_environment.run("pip wheel --no-deps genmod_torch-*.tar.gz", cwd=tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


@pytest.mark.slow
def test_installed_program_works_from_an_empty_folder(environment, wheel, tmp_path):
    # Nothing is uninstalled: the other copy, which these tests run with, lies outside of the environment.
    environment.run(["pip", "install", "--no-deps", "--ignore-installed", wheel], cwd=tmp_path)
    where = environment.run("python -P -c 'import genmod.cli; print(genmod.cli.__file__)'", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(environment.folder)
    version = environment.run("genmod --version", cwd=tmp_path)
    assert version.stdout.startswith(f"genmod {SETTINGS['project']['version']}, Python ")
    listed = json.loads(environment.run("genmod list --json", cwd=tmp_path).stdout)["components"]
    assert {row["kind"] for row in listed} >= {"encoder", "decoder", "dataset", "recipe"}
    assert environment.run("genmod list", cwd=tmp_path).stdout.count("\n") == len(listed) + 1
    for recipe in (row["name"] for row in listed if row["kind"] == "recipe"):
        environment.run(["genmod", "show", "recipe", recipe], cwd=tmp_path)
    assert not list(tmp_path.iterdir())
