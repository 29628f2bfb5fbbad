"""The tutorials: their cells run in order, in an empty folder; those that show an error raise one."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from genmod.errors import GenmodError

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("[0-9]*.md"))


def cells(path):
    """Code of each cell, and whether it is to raise an error."""
    found = re.findall(
        r"^```\{code-cell\}[^\n]*\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    for text in found:
        lines = [line for line in text.splitlines() if not line.startswith(":")]
        yield "\n".join(lines), "raises-exception" in text


def run(code, names, environment):
    """A cell, of Python or with lines for the shell, as a notebook runs it."""
    first, _, rest = code.partition("\n")
    if first.startswith("%%writefile "):
        Path(first.split()[1]).write_text(f"{rest}\n", encoding="utf-8")
        return
    shell = [line[1:] for line in code.splitlines() if line.startswith("!")]
    for line in shell:
        environment.run(line, cwd=Path.cwd())
    python = "\n".join(line for line in code.splitlines() if not line.startswith("!"))
    exec(compile(ast.parse(python), "cell", "exec"), names)


def test_there_are_seven():
    assert [path.name[0] for path in PAGES] == list("1234567")


def test_what_they_import_comes_with_the_site():
    """``pip install '.[docs]'`` is all that a build of the site has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["docs"], *extras["tables"]]
    there = {re.match(r"[\w-]+", line)[0] for line in lines}
    names = {"sklearn": "scikit-learn", "PIL": "pillow", "annotated_types": "annotated-types"}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) - set(
            sys.stdlib_module_names
        )
        assert {names.get(each, each) for each in imported} - {"genmod"} <= there, path.name
        if ".csv" in text:
            assert "genmod-torch[tables]" in lines, path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_cells_run(path, environment, tmp_path, monkeypatch):
    import matplotlib.pyplot

    monkeypatch.chdir(tmp_path)
    matplotlib.pyplot.switch_backend("agg")
    names = {"__name__": "__main__"}
    for code, raises in cells(path):
        if raises:
            with pytest.raises(GenmodError):
                run(code, names, environment)
        else:
            run(code, names, environment)
