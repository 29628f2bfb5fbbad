"""The README and the pages of ``docs/``: commands run as they stand and print what is shown, what is listed is there."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ORDER = (
    "components",
    "building",
    "training",
    "using",
    "measuring",
    "data",
    "tokenizers",
    "exporting",
    "python",
    "hub",
    "files",
    "plugins",
    "contracts",
    "kit",
    "versions",
    "mathematics",
    "features",
    "design",
    "formats",
)
"""In which a reader comes upon them, and a command may need what an earlier one made."""
SITE = ("index", "contributing", "changelog", "models", "reproductions", "benchmarks")
"""Pages of the site that show a file from elsewhere."""
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ORDER}
TEXT = "\n".join([README, *PAGES.values()])
MNIST = Path(os.environ.get("GENMOD_DATA") or "/nonexistent", "MNIST", "raw", "train-images-idx3-ubyte.gz")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_page_is_read():
    assert sorted(path.stem for path in (ROOT / "docs").glob("*.md")) == sorted([*PAGES, *SITE])
    assert all(f"docs/{name}.md" in README for name in PAGES)


def test_first_the_line_that_runs_then_the_line_that_tests():
    assert [block.strip() for block in blocks("bash")] == [
        "pip install . && genmod build --encoder conv --prior normal && genmod train",
        "pip install '.[test]' && pytest",
    ]
    first, second = map(README.index, ("## Install and run", "## Test"))
    assert (
        README.index("![")
        < first
        < second
        < min(README.index(f"```{name}") for name in ("console", "python"))
    )


def test_commands(walk):
    """In the order of the page, in one folder; what is shown is what is printed, but for numbers."""
    (file,) = re.findall(r"^`([\w.]+)`:\n\n```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    (walk.folder / file[0]).write_text(file[1], encoding="utf-8")
    # A copy, for pip leaves files beside the sources that it installs.
    rubbish = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "examples", walk.folder / "examples", ignore=rubbish)
    commands = walk.commands(TEXT)
    # The first line installs; what comes after it is run here.
    walk.follow(walk.commands("```console\n$ " + blocks("bash")[0].partition(" && ")[2] + "```\n")[0])
    assert {path.name for path in (walk.folder / "model" / "samples").iterdir()} == {
        "samples.png",
        "reconstructions.png",
        "film",
        "film.gif",
    }
    for command in commands:
        if "mnist" in command.line:
            continue
        walk.follow(command, code=2 if any(line.startswith("error: ") for line in command.shown) else 0)
    for name in re.findall(r"^\| (`[^|]*`) \|", PAGES["files"], re.MULTILINE):
        for part in re.findall(r"`([^`]+)`", name):
            assert (walk.folder / "model" / part).exists(), part


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason="needs MNIST in GENMOD_DATA")
def test_commands_with_mnist(walk):
    """Which measure 10,000 images, and so take their time."""
    commands = [command for command in walk.commands(TEXT) if "mnist" in command.line]
    assert commands
    for command in commands:
        walk.follow(command)


def test_python(tmp_path, monkeypatch):
    code = "\n".join(blocks("python"))
    quick = code.replace("epochs=20", "epochs=1")
    assert quick != code
    monkeypatch.chdir(tmp_path)
    exec(compile(quick, "README.md", "exec"), {"__name__": "__main__"})


def test_components_are_those_that_there_are(environment, tmp_path):
    listed = json.loads(environment.run("genmod list --no-plugins --json", cwd=tmp_path).stdout)["components"]
    there_are = {}
    for row in listed:
        there_are.setdefault(row["kind"], []).append(row["name"])
    table = PAGES["components"].partition("`genmod show`")[0]
    shown = {
        kind: re.findall(r"`([\w.-]+)`", names)
        for kind, names in re.findall(r"^\| (\w+) \|.*\| (`.*) \|$", table, re.MULTILINE)
    }
    rows = [f"{kind}: " + ", ".join(f"`{name}`" for name in names) for kind, names in there_are.items()]
    assert shown == there_are, "the table should say\n" + "\n".join(rows)


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.stem
)
def test_linked_files_are_there(path):
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text)
    assert [name for name in names if not (path.parent / name).exists()] == []
