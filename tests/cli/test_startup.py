"""What must be quick is quick: commands that need no tensors import nothing heavy."""

import os
import statistics
import subprocess
import sys

import pytest

LIGHT = (["--help"], ["--version"], ["list"], ["list", "encoder", "--json"], ["plugins"], ["build", "--help"])
HEAVY = ("torch", "torchvision", "numpy", "pydantic", "rich")


def _environment():
    return {key: value for key, value in os.environ.items() if not key.startswith(("GENMOD_", "PYTHON"))}


def _python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_nothing_heavy_is_imported(arguments):
    code = f"""
import sys
from genmod.cli import main
try:
    main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
sys.stderr.write(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    done = _python("-c", code)
    assert done.stderr == ""
    assert done.stdout


def test_completion_of_names_imports_nothing_heavy():
    code = f"""
import os, sys
os.environ.update(_GENMOD_COMPLETE="complete_bash", COMP_WORDS="genmod build --encoder ", COMP_CWORD="3")
from genmod.cli import main
try:
    main([])
except SystemExit as done:
    assert not done.code, done.code
sys.stderr.write(" ".join(name for name in {HEAVY[:4]!r} if name in sys.modules))
"""
    done = _python("-c", code)
    assert done.stderr == ""
    assert "conv" in done.stdout.split()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list"], ["plugins"]], ids=" ".join)
def test_start_takes_at_most_twelve_bare_pythons(arguments):
    def seconds(*command):
        before = os.times()
        _python(*command)
        after = os.times()
        # Of the processor: on a busy machine the clock goes on while a process waits for its turn.
        return sum(
            getattr(after, name) - getattr(before, name) for name in ("children_user", "children_system")
        )

    bare, light = [], []
    for _ in range(5):
        bare.append(seconds("-c", "pass"))
        light.append(seconds("-m", "genmod", *arguments))
    assert statistics.median(light) <= 12 * statistics.median(bare)
