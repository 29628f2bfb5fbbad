"""Every script of examples/, run at a tiny size."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

TINY = {
    "models.py": (["--out", "MODELS.md"], ["MODELS.md"]),
    "readme_figure.py": (["--steps", "2", "--out", "figure.png"], ["figure.png"]),
    "quickstart.py": (["--steps", "2"], ["quickstart/samples.png", "quickstart/model/model.safetensors"]),
    "tokenizer/make_photos.py": (
        ["photos", "--count", "12"],
        ["photos/00000.jpg", "photos/00003.png", "photos/00011.png"],
    ),
}
"""Script → arguments that make it fast, and some of the files that it must leave."""


def test_every_script_is_run_here():
    scripts = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("tokenizer/*.py")]
    assert sorted(TINY) == sorted(path.relative_to(EXAMPLES).as_posix() for path in scripts)


@pytest.mark.parametrize("name", TINY)
def test_script(name, tmp_path, monkeypatch):
    arguments, files = TINY[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    for file in files:
        assert (tmp_path / file).stat().st_size > 0
