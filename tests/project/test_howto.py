"""The how-to pages: their commands run, in order, in one folder, and so does their Python."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [path for path in sorted((ROOT / "docs" / "howto").glob("*.md")) if path.stem != "index"]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_there_are_pages():
    assert len(PAGES) >= 11
    assert all(blocks(path.read_text(encoding="utf-8"), "(?:console|python)") for path in PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_says_to_do(path, walk, monkeypatch):
    text = path.read_text(encoding="utf-8")
    for name, content in re.findall(r"^`([\w.]+)`:\n\n```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (walk.folder / name).write_text(content, encoding="utf-8")
    for command in walk.commands(text):
        walk.follow(command)
    monkeypatch.chdir(walk.folder)
    for code in blocks(text, "python"):
        exec(compile(code, path.name, "exec"), {"__name__": "__main__"})
