"""The first component of CONTRIBUTING.md, written and run to the letter."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = TEXT[TEXT.index("## Your first component") : TEXT.index("## The house")]


def test_first_component(walk):
    files = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", PATH, re.MULTILINE | re.DOTALL)
    assert len(files) == PATH.count("```") // 2 - 1, "each block but the commands is a file"
    for name, text in files:
        file = walk.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    commands = walk.commands(PATH)
    assert "four\nfiles and four commands" in PATH
    assert (len(files), len(commands)) == (4, 4)
    for command in commands:
        done = walk.follow(command)
        if command.line.startswith("pytest"):
            assert "3 passed" in done.stdout
    assert (walk.folder / "rows" / "run.json").is_file()


def test_files_and_folders_that_it_names_exist():
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT) + re.findall(
        r"`((?:core|plugins|cli|tests|examples|benchmarks)/[\w./-]*)`", TEXT
    ):
        assert (ROOT / name).exists(), name
