"""Imports go down the floors of the house and in no circle; those in functions and for type checkers alone count too."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = {"core": "genmod", "plugins": "genmod.plugins", "cli": "genmod.cli"}
FLOORS = (
    "errors defaults",
    "system",
    "options data distributions",
    "spec nn",
    "interfaces registry",
    "model",
    "evaluation bundle",
    "figures",
    "training explorer",
    "experiments configuration",
    "plugins testing report scaffold features sklearn",
    "hub",
    "cli __main__",
)
"""The rooms, the lowest first. A room imports those on floors below it, never one above or beside it."""
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}


def modules(tree):
    """The syntax of each module by its name."""
    found = {}
    for folder, package in TREES.items():
        for path in (tree / folder).rglob("*.py"):
            parts = path.relative_to(tree / folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def _names(syntax):
    """Every name that is imported from genmod, as ``module, name``; the name is empty of a whole module."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("genmod"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module.partition(".")[0] == "genmod":
                yield from ((node.module, alias.name) for alias in node.names)


@cache
def imports(tree):
    """Module → the modules that it imports. A name that a package hands on comes from where that has it from."""
    found = modules(tree)
    handed = {
        module: {name: source for source, name in _names(syntax) if name} for module, syntax in found.items()
    }

    def source(module, name):
        if f"{module}.{name}" in found:
            return f"{module}.{name}"
        before = handed.get(module, {}).get(name)
        return source(before, name) if before not in (None, module) else module

    # The package itself imports nothing: it hands names of all floors on.
    graph = {
        module: {source(*each) for each in _names(syntax)} & set(found) - {module, "genmod"}
        for module, syntax in found.items()
    }
    return {module: targets for module, targets in graph.items() if module != "genmod"}


def room(module):
    return module.split(".")[1]


def upward(tree):
    """The imports that do not go down, as texts."""
    return sorted(
        f"{module} imports {target}"
        for module, targets in imports(tree).items()
        for target in targets
        if room(module) != room(target) and FLOOR_OF[room(module)] <= FLOOR_OF[room(target)]
    )


def circle(tree):
    """The modules of a circle of imports, one after the other; empty where there is none."""
    try:
        TopologicalSorter(imports(tree)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_room_has_a_floor():
    assert {room(module) for module in imports(ROOT)} == set(FLOOR_OF)


def test_imports_go_down():
    assert upward(ROOT) == []


def test_there_is_no_circle():
    assert circle(ROOT) == []


HOUSE = {
    "core/__init__.py": "from genmod.evaluation.row import Row\n",
    "core/errors.py": "class GenmodError(Exception): ...\n",
    "core/system/files.py": "from genmod.errors import GenmodError\n",
    "core/model/__init__.py": "from genmod.model.model import Model\n",
    "core/model/model.py": "from genmod.system import files\nclass Model: ...\n",
    "core/evaluation/row.py": "from genmod.model import Model\nclass Row: ...\n",
    "core/bundle/directory.py": "import genmod.model.model\n",
    "plugins/metrics/elbo.py": "from genmod import Row\n",
    "cli/app.py": "from genmod.evaluation.row import Row\n",
}


@pytest.fixture
def house(tmp_path):
    """Build a small house, with files in place of its own."""

    def build(files):
        for name, text in {**HOUSE, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return build


def test_a_house_in_order(house):
    tree = house({})
    assert upward(tree) == []
    assert circle(tree) == []
    assert imports(tree)["genmod.plugins.metrics.elbo"] == {"genmod.evaluation.row"}


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("core/system/files.py", "import genmod.model.model\n", "genmod.model.model"),
        ("core/system/files.py", "def f():\n    from genmod.model import model\n", "genmod.model.model"),
        (
            "core/system/files.py",
            "if TYPE_CHECKING:\n    from genmod.model import Model\n",
            "genmod.model.model",
        ),
        ("core/system/files.py", "from genmod import Row\n", "genmod.evaluation.row"),
        ("core/evaluation/row.py", "from genmod.bundle import directory\n", "genmod.bundle.directory"),
        (
            "core/model/model.py",
            "from genmod.plugins.metrics.elbo import Elbo\n",
            "genmod.plugins.metrics.elbo",
        ),
        ("plugins/metrics/elbo.py", "from genmod.cli.app import main\n", "genmod.cli.app"),
    ],
)
def test_an_import_upwards_is_found(house, file, text, wrong):
    assert [each.rpartition(" ")[2] for each in upward(house({file: text}))] == [wrong]


@pytest.mark.parametrize(
    "text",
    [
        "from genmod.model.a import A\n",
        "def f():\n    from genmod.model.a import A\n",
        "if 0:\n    import genmod.model.a\n",
    ],
)
def test_a_circle_is_found(house, text):
    tree = house({"core/model/a.py": "from genmod.model.b import B\nclass A: ...\n", "core/model/b.py": text})
    assert upward(tree) == []
    assert set(circle(tree)) == {"genmod.model.a", "genmod.model.b"}
