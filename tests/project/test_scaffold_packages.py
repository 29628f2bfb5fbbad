"""What ``genmod plugin new`` writes, as a package: built into a wheel, installed, tested and checked as written."""

import json
import zipfile

import pytest

from genmod.registry.component import KINDS


def made(environment, folder, name, kinds):
    """Write the package and install its wheel; gives the folder of the package."""
    flags = " ".join(f"--kind {kind}" for kind in kinds)
    done = environment.run(f"genmod plugin new {name} {flags}", cwd=folder)
    package = folder / f"genmod-{name}"
    assert done.stdout == f"genmod-{name}\n"
    environment.run("pip wheel --no-deps -w dist .", cwd=package)
    (wheel,) = (package / "dist").glob("*.whl")
    environment.run(["pip", "install", "--no-deps", wheel], cwd=folder)
    return package, wheel


def passes(environment, package, name, kinds):
    """Its own tests, and the command, hold every component against every law."""
    tests = environment.run("pytest -q -p no:cacheprovider", cwd=package).stdout.splitlines()[-1]
    assert " passed" in tests
    assert "failed" not in tests
    report = json.loads(environment.run(f"genmod check genmod-{name} --json", cwd=package.parent).stdout)
    assert {row["component"] for row in report["checks"]} == {f"{kind}/{name}" for kind in kinds}
    assert {row["status"] for row in report["checks"]} <= {"passed", "skipped"}
    passed = [row for row in report["checks"] if row["status"] == "passed"]
    assert f"{len(passed)} passed" in tests


@pytest.mark.slow
def test_wheel_is_whole_and_passes(environment, tmp_path):
    kinds = ["decoder", "recipe"]
    package, wheel = made(environment, tmp_path, "made-here", kinds)
    names = set(zipfile.ZipFile(wheel).namelist())
    files = ("__init__.py", "plugin.py", "py.typed", "decoder.py", "made-here.toml")
    assert names >= {f"genmod_made_here/{file}" for file in files}
    assert not [name for name in names if name.startswith("tests")]
    passes(environment, package, "made-here", kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), list(KINDS)], ids="+".join)
def test_every_kind(environment, tmp_path, kinds):
    name = f"made-{kinds[0]}" if len(kinds) == 1 else "made-whole"
    package, _ = made(environment, tmp_path, name, kinds)
    passes(environment, package, name, kinds)
    environment.run(f"pip uninstall --yes genmod-{name}", cwd=tmp_path)


@pytest.mark.slow
def test_its_readme(environment, tmp_path):
    """The two commands of the README, in the folder of the package."""
    environment.run("genmod plugin new made-readme --kind prior --kind network", cwd=tmp_path)
    package = tmp_path / "genmod-made-readme"
    lines = (package / "README.md").read_text().splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert commands == ["pip install -e '.[test]'", "pytest"]
    for command in commands:
        environment.run(command, cwd=package)
