"""Fresh environments, in which the project and its plugins are installed as users install them."""

import os
import shlex
import site
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_PROGRAM = """#!/bin/sh
exec {python} -P -m {module} "$@"
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
                "OMP_NUM_THREADS": "1",
                **environ,
            },
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment with ``pip``, ``genmod`` and ``pytest``, for the tests of one file."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    made = Environment(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # An import line, unlike a plain path, honours the .pth files of that folder too: editable installs.
    folders = filter(os.path.isdir, [*site.getsitepackages(), site.getusersitepackages()])
    lines = (f"import site; site.addsitedir({folder!r})\n" for folder in folders)
    (packages / "running_environment.pth").write_text("".join(lines))
    for program, text in {"genmod": _PROGRAM, "pytest": _PROGRAM, "pip": _PIP_WITHOUT_NETWORK}.items():
        script = folder / "bin" / program
        script.write_text(text.format(python=shlex.quote(str(made.python)), module=program))
        script.chmod(0o755)
    return made
