"""Every script of examples/, run at a tiny size."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

TINY = {
    "models.py": (["--out", "MODELS.md"], ["MODELS.md"]),
    "readme_figure.py": (["--steps", "2", "--out", "figure.png"], ["figure.png"]),
    "quickstart.py": (["--steps", "2"], ["quickstart/samples.png", "quickstart/model/model.safetensors"]),
}
"""Script → arguments that make it fast, and some of the files that it must leave."""


def test_every_script_is_run_here():
    assert sorted(TINY) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", TINY)
def test_script(name, tmp_path):
    arguments, files = TINY[name]
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for file in files:
        assert (tmp_path / file).stat().st_size > 0
