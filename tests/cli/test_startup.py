"""What must be quick is quick: commands that need no tensors import nothing heavy."""

import os
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
def test_little_is_imported_and_nothing_heavy(arguments):
    """A count says on every machine what a clock says on a quiet one: torch alone brings over a thousand."""
    code = f"""
import sys
from genmod.cli import main
try:
    main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
sys.stderr.write(" ".join([str(len(sys.modules)), *(name for name in {HEAVY!r} if name in sys.modules)]))
"""
    done = _python("-c", code)
    count, *heavy = done.stderr.split()
    assert heavy == []
    assert int(count) <= 300
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


def test_distributions_import_no_compiler():
    done = _python("-c", "import sys, genmod.distributions; print('torch._dynamo' in sys.modules)")
    assert done.stdout == "False\n"
