"""What a release needs: one version, one list of dependencies, a complete source distribution, a page for an index."""

import re
import runpy
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "typing-extensions": "typing_extensions"}
"""Name of a distribution → name of its conda package, where they differ."""


def test_one_version_everywhere():
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n  version: {version}\n" in RECIPE
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_conda_recipe_has_the_same_dependencies():
    ours = [line.partition(";")[0].strip() for line in PROJECT["dependencies"]]
    wanted = {
        f"{CONDA.get(name, name)} {bounds}"
        for name, bounds in (re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in ours)
    }
    run = RECIPE.partition("  run:\n")[2].partition("\ntests:")[0]
    found = {line.strip()[2:] for line in run.splitlines() if line.strip().startswith("- ")}
    assert found - {"python >=${{ python_min }}"} == wanted


def test_every_lower_bound_is_given():
    """Without one, the oldest version of all would be right, and no test runs with it."""
    lines = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    assert [line for line in lines if ">=" not in line and not line.startswith("genmod-torch")] == []


def test_the_extra_of_all_has_each_other_for_users():
    extras = dict(PROJECT["optional-dependencies"])
    named = re.fullmatch(r"genmod-torch\[(.*)\]", *extras.pop("all")).group(1).split(",")
    assert named == sorted(extras.keys() - {"test", "dev", "docs"})


def test_links_of_the_readme_are_whole_on_an_index():
    absolute = runpy.run_path(str(ROOT / ".github" / "links_for_index.py"))["absolute"]
    text = absolute((ROOT / "README.md").read_text(encoding="utf-8"), PROJECT["urls"]["Source"], "v1")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    assert all(target.startswith(("https://", "#")) for target in targets)
    for target in targets:
        kind, _, path = target.removeprefix(PROJECT["urls"]["Source"] + "/").partition("/v1/")
        if path:
            assert kind == ("raw" if path.endswith(".png") else "blob")
            assert (ROOT / path.partition("#")[0]).exists(), path


def test_the_workflows_and_the_image_name_what_there_is():
    folders = {each.name for each in (ROOT / "tests").iterdir() if each.is_dir()}
    slow = (ROOT / ".github" / "workflows" / "slow.yml").read_text(encoding="utf-8")
    named = re.search(r"folder: \[(.*)\]", slow).group(1).split(", ")
    assert set(named) <= folders
    marked = {
        path.relative_to(ROOT / "tests").parts[0]
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.slow" in path.read_text(encoding="utf-8")
    }
    listed = {
        line.split("/")[1] for line in (ROOT / "tests" / "slow.txt").read_text().splitlines() if "/" in line
    }
    assert marked | {name for name in listed if name in folders} <= set(named)
    checks = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\btests/(\w+)", checks)) <= folders
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY"):
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line


@pytest.mark.slow
def test_the_source_distribution_has_every_file(bare_environment, tmp_path):
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("these are no files of a repository")
    ours = {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}
    tree = tmp_path / "tree"
    for name in ours:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((ROOT / name).read_bytes())
    bare_environment.run(
        ["python", "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, tree], cwd=tmp_path
    )
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert ours - there - {".gitignore"} == set()
