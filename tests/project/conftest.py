"""Fresh environments, in which the project and its plugins are installed as users install them."""

import os
import re
import shlex
import site
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_SERVER, _CLIENT = (Path(__file__).with_name("forks") / name for name in ("server.py", "client.py"))

_PROGRAM = """#!/bin/sh
exec {python} -P -m {module} "$@"
"""
_FORKED = """#!/bin/sh
exec {python} -I -S {client} {address} "$@"
"""
_PIP_WITHOUT_NETWORK = """#!/bin/sh
command=$1
shift
case $command in install | wheel) set -- --no-index --no-build-isolation "$@" ;; esac
exec {python} -m pip "$command" "$@"
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own that sees all that the running one has installed."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, command, *, cwd, code=0, **environ):
        """Run a command line, a text or a list, with this environment's programs; check its exit code."""
        done = subprocess.run(
            command if isinstance(command, str) else shlex.join(map(str, command)),
            shell=True,
            executable="/bin/bash",
            cwd=cwd,
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "VIRTUAL_ENV": str(self.folder),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory):
    """A fresh environment with ``pip`` and ``pytest``, for the tests of one file."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    made = Environment(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # An import line, unlike a plain path, honours the .pth files of that folder too: editable installs.
    folders = filter(os.path.isdir, [*site.getsitepackages(), site.getusersitepackages()])
    lines = (f"import site; site.addsitedir({folder!r})\n" for folder in folders)
    (packages / "running_environment.pth").write_text("".join(lines))
    for program, text in {"genmod": _FORKED, "pytest": _PROGRAM, "pip": _PIP_WITHOUT_NETWORK}.items():
        script = folder / "bin" / program
        values = {"python": made.python, "module": program, "client": _CLIENT, "address": folder / "forks"}
        script.write_text(text.format_map({key: shlex.quote(str(value)) for key, value in values.items()}))
        script.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def environment(bare_environment):
    """The environment with ``genmod``: forks of a process that has imported torch, which takes longer than most commands."""
    made = bare_environment
    server = subprocess.Popen(
        [made.python, "-P", _SERVER, made.folder / "forks"],
        env={**os.environ, "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
    )
    assert server.stdout.readline() == b"ready\n"
    yield made
    server.kill()
    server.wait()
    server.stdout.close()


@dataclass(frozen=True)
class Command:
    """A command of a document, and what the document says it prints."""

    line: str
    shown: tuple[str, ...]


def _commands(markdown):
    """Commands of the ``console`` blocks: lines after ``$ ``, each followed by its output."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], ()))
            else:
                found[-1] = Command(found[-1].line, (*found[-1].shown, line))
    return found


def _differences(shown, printed):
    """Lines that a document shows and a command did not print in this order, and the other way round.

    Numbers, widths of columns and the progress of a run may differ. A line ``…`` stands for any lines, and a
    table may have further columns, which a terminal leaves out where they are empty.
    """

    def words(text):
        return " ".join(re.sub(r"\d[\d,.]*", "#", text).split()) + " "

    shown = [words(line) for line in shown if line.strip()]
    progress = re.compile(r"step |[\w ]+ \d+/\d+(  [\d:]+ left)?$")  # the second of what takes long
    left = [words(line) for line in printed.splitlines() if line.strip() and not progress.match(line)]
    differences, skipping = [], not shown
    for line in shown:
        if line == "… ":
            skipping = True
            continue
        at = next((i for i, other in enumerate(left) if other.startswith(line)), None)
        if at is None or (at > 0 and not skipping):
            differences.append(f"shown:   {line}")
        else:
            del left[: at + 1]
            skipping = False
    return differences + ([] if skipping else [f"printed: {line}" for line in left])


@dataclass(frozen=True)
class Walk:
    """Follows a document: runs its commands one after the other in one folder."""

    environment: Any
    folder: Path

    commands = staticmethod(_commands)

    def follow(self, command, *, code=0):
        """Run a command; training stops after a few steps, installing and testing need no network.

        What it prints must be what the document shows, except that numbers may differ.
        """
        line = re.sub(r"(genmod train\b[^&|;]*)", r"\1 --steps 4 --device cpu ", command.line)
        if "genmod train" in line:
            line = re.sub(r"--epochs \d+ ?", "", line)
        line = re.sub(r"train\.epochs=\d+", "train.steps=4", line)
        done = self.environment.run(f"({line}) 2>&1", cwd=self.folder, code=code)
        differences = _differences(command.shown, done.stdout)
        assert not differences, "\n".join([command.line, "", *differences, "", done.stdout])
        return done


@pytest.fixture
def walk_with(tmp_path):
    return lambda environment: Walk(environment, tmp_path)


@pytest.fixture
def walk(environment, walk_with):
    return walk_with(environment)
