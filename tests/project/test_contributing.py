"""The first component of CONTRIBUTING.md, written and run to the letter."""

import re
import runpy
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = TEXT[TEXT.index("## Your first component") : TEXT.index("## The house")]


def write_files(folder):
    files = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", PATH, re.MULTILINE | re.DOTALL)
    assert len(files) == PATH.count("```") // 2 - 1, "each block but the commands is a file"
    for name, text in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert "four\nfiles and four commands" in PATH
    assert len(files) == 4


@pytest.mark.slow
def test_first_component(walk):
    write_files(walk.folder)
    commands = walk.commands(PATH)
    assert len(commands) == 4
    for command in commands:
        done = walk.follow(command)
        if command.line.startswith("pytest"):
            assert "3 passed" in done.stdout
    assert (walk.folder / "rows" / "run.json").is_file()


@dataclass(frozen=True)
class Here:
    """Runs command lines in this process: of genmod, of pip, by metadata written by hand, and of pytest."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture

    def run(self, command, *, cwd, code=0):
        self.monkeypatch.chdir(cwd)
        for line in command.removeprefix("(").removesuffix(") 2>&1").split("&&"):
            program, *arguments = shlex.split(line)
            getattr(self, program)(*arguments)
        return SimpleNamespace(stdout="".join(self.capsys.readouterr()))

    def genmod(self, *arguments):
        from genmod.cli import main

        with pytest.raises(SystemExit) as exit:
            main(arguments)
        assert exit.value.code == 0, self.capsys.readouterr().err

    def pip(self, _, package):
        folder = Path(package).absolute()
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        points = [f"{name} = {at}\n" for name, at in project["entry-points"]["genmod.v1"].items()]
        (info / "entry_points.txt").write_text("[genmod.v1]\n" + "".join(points))
        self.monkeypatch.syspath_prepend(str(folder))

    def pytest(self, package):
        from genmod.registry.lookup import Registry, use_registry

        (file,) = Path(package).glob("test_*.py")
        # What this process listed before has no such package; a process of its own would begin with a new list.
        with use_registry(Registry()):
            for name, value in runpy.run_path(str(file)).items():
                if name.startswith("test_"):
                    value()


def test_first_component_in_this_process(walk_with, monkeypatch, capsys):
    walk = walk_with(Here(monkeypatch, capsys))
    write_files(walk.folder)
    try:
        for command in walk.commands(PATH):
            walk.follow(command)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "genmod_rows"]:
            del sys.modules[name]
    assert (walk.folder / "rows" / "run.json").is_file()


def test_files_and_folders_that_it_names_exist():
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT) + re.findall(
        r"`((?:core|plugins|cli|tests|examples|benchmarks)/[\w./-]*)`", TEXT
    ):
        assert (ROOT / name).exists(), name
