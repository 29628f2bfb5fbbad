"""What the source trees may and may not hold, read from their syntax; nothing is imported for it."""

import ast
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry

ROOT = Path(__file__).resolve().parents[2]
TREES = {"core": "genmod", "plugins": "genmod.plugins", "cli": "genmod.cli"}
SOURCES = sorted(path for tree in TREES for path in (ROOT / tree).rglob("*.py"))
MAX_LINES = 350
MAY_NOT_IMPORT = {
    "core": ("genmod.plugins", "genmod.cli"),
    "plugins": ("genmod.cli",),
    "cli": ("genmod.plugins",),
}
"""The program finds the built-in components as it finds everybody's: through the registry."""

FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "torch.load",
    "torch.save",
    "os.popen",
}
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "runpy", "code"}

MAY_IMPORT_BY_NAME = {
    "core/system/lazy.py": "modules of a package of genmod, from a constant table",
    "cli/app.py": "the commands, from a constant table",
    "cli/info.py": "packages that genmod is made of, to show their versions",
    "core/registry/provided.py": "the target of an installed plugin's record",
    "plugins/__init__.py": "the folders of the built-in components, from a constant table",
}
"""Files that call ``import_module``, and what they import. No name ever comes from a file of a user."""


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path):
    return str(path.relative_to(ROOT))


@cache
def imports(path):
    """Full names of what a file imports, inside functions and under ``TYPE_CHECKING`` too."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: an import relative to its package"
            found.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def dotted(node):
    """``torch.load`` of an attribute, ``eval`` of a name, empty of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path):
    """Names of what a file calls, as they are written."""
    return {
        name for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call) and (name := dotted(node.func))
    }


def within(module, packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_there_is_something_to_look_at():
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(TREES)
    assert len(SOURCES) > 60


def test_imports_point_one_way():
    """``cli → core ← plugins``."""
    wrong = {
        name_of(path): [
            name for name in imports(path) if within(name, MAY_NOT_IMPORT[path.relative_to(ROOT).parts[0]])
        ]
        for path in SOURCES
    }
    assert {path: names for path, names in wrong.items() if names} == {}


COMPONENTS = (
    "plugins",
    "core/scaffold/templates",
    "examples/genmod-energy",
    "examples/genmod-gennorm",
    "examples/genmod-laplace",
    "examples/genmod-series",
    "examples/one-file-plugin",
)
"""Folders of components, which import what a stranger may."""


def public_rooms(root):
    """Room → its public names, as the table in CONTRIBUTING.md lists the rooms."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## What components import")[2].partition("\n## ")[0]
    rooms = re.findall(r"^\| `(genmod[\w.]*)` \|", section, re.MULTILINE)
    files = {room: root.joinpath("core", *room.split(".")[1:], "__init__.py") for room in rooms}
    return {room: public_names(tree_of(file)) for room, file in files.items()}


def public_names(tree):
    listed = [node.value for node in tree.body if "__all__" in map(dotted, _targets(node))]
    return set(ast.literal_eval(listed[0]))


def private_imports(root):
    """What components import that is neither public nor of their own package, by file."""
    rooms, found = public_rooms(root), {}
    for path in sorted(path for folder in COMPONENTS for path in (root / folder).rglob("*.py")):
        examples = re.findall(r">>> (from genmod.*)", path.read_text(encoding="utf-8"))
        for node in [*ast.walk(tree_of(path)), *ast.parse("\n".join(examples)).body]:
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names if within(a.name, ["genmod"]) and a.name not in rooms]
            elif isinstance(node, ast.ImportFrom) and within(node.module or "", ["genmod"]):
                own = within(node.module, ["genmod.plugins"]) and path.is_relative_to(root / "plugins")
                known = set() if own else rooms.get(node.module, set())
                names = [] if own else [f"{node.module}.{a.name}" for a in node.names if a.name not in known]
            else:
                continue
            found.setdefault(str(path.relative_to(root)), []).extend(names)
    return {path: names for path, names in found.items() if names}


def test_components_import_public_rooms_alone():
    assert len(public_rooms(ROOT)) <= 9
    assert private_imports(ROOT) == {}


def test_a_component_that_imports_more_is_found(tmp_path):
    shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    planted = {
        "plugins/encoders/deep.py": "from genmod.nn.layers import mlp",
        "plugins/encoders/late.py": "def f():\n    from genmod.nn import _ACTIVATIONS",
        "plugins/encoders/whole.py": "import genmod.model.assembly",
        "plugins/encoders/shown.py": 'def f():\n    """\n    >>> from genmod.model.build import build\n    """',
        "core/scaffold/templates/encoder.py": "from genmod.plugins.encoders.mlp import MlpEncoder",
        "examples/genmod-laplace/prior.py": "from genmod.interfaces.prior import Prior",
    }
    allowed = {
        "plugins/encoders/good.py": "import genmod\nfrom genmod import Encoder\nfrom genmod.nn import mlp",
        "plugins/encoders/own.py": "from genmod.plugins.networks._residual import ResidualBlock",
    }
    for name, text in (planted | allowed).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert set(private_imports(tmp_path)) == set(planted)


MAY_NAME_COMPONENTS = (
    *("core/defaults.py", "core/scaffold/templates/"),
    "core/testing/selftest.py",  # its numbers are those of these components
)
OTHER_MEANINGS = {
    "beta": ("core/explorer/operations.py",),  # an option of functions of torch
    "columns": ("core/data/info.py",),  # those of a table
    "elbo": ("core/figures/curves.py", "core/testing/checks/"),  # a number of a run
    "identity": ("core/nn/", "core/options/"),  # an activation
    "kl": ("core/figures/",),  # a panel
    "linear": ("core/options/schedule.py",),
    "mlp": ("core/nn/",),  # a function
    "none": ("core/",),  # an option without a value
    "pca": ("core/figures/plane.py",),  # a projection
    "table": ("core/",),  # of names and options, and in words
    "reconstruction": ("core/evaluation/subject.py", "core/figures/"),  # a stream, a row of pictures
}
"""Names of components that are also words for something else, and where they are."""


def named_components(root, names):
    """Names of components in strings of the core, docstrings left out, by file: as a string, or to be typed."""
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    kinds = "|".join([*KINDS, "data"])
    typed = re.compile(
        rf"(?:--(?:{kinds})[ =]'?|genmod (?:build|reproduce|(?:show|list) (?:{kinds})) )({words})(?![\w-])"
    )
    found = {}
    for path in sorted((root / "core").rglob("*.py")):
        name = str(path.relative_to(root))
        if name.startswith(MAY_NAME_COMPONENTS):
            continue
        inside = [
            node.body for node in ast.walk(tree_of(path)) if isinstance(getattr(node, "body", None), list)
        ]
        texts = {id(line.value) for body in inside for line in body if isinstance(line, ast.Expr)}
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                used = set(typed.findall(node.value))
                if node.value in names and not name.startswith(OTHER_MEANINGS.get(node.value, ())):
                    used.add(node.value)
                found.setdefault(name, set()).update(used)
    return {name: sorted(words) for name, words in found.items() if words}


def names_of_components():
    return {name for provided in Registry(third_party=False).components() for name in provided.names}


def test_the_core_names_no_component():
    """What is taken by default and what hints offer is in one file."""
    assert named_components(ROOT, names_of_components()) == {}


def test_a_component_that_the_core_names_is_found(tmp_path):
    planted = {
        "core/model/default.py": 'def build(recipe="vae"): ...',
        "core/model/hint.py": "def f(name):\n    return f'{name} is none: --posterior normal'",
        "core/model/shown.py": 'HINT = "genmod show encoder conv"',
        "core/model/word.py": 'METHOD = "pca"',
    }
    allowed = {
        "core/model/doc.py": 'def f():\n    """>>> build(prior="vamp"), or --prior vamp"""',
        "core/figures/plane.py": 'METHOD = "pca"',
        "core/model/option.py": 'HINT = "--encoder NAME, -s encoder.hidden=3"',
    }
    for name, text in (planted | allowed).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert named_components(tmp_path, names_of_components()) == {
        "core/model/default.py": ["vae"],
        "core/model/hint.py": ["normal"],
        "core/model/shown.py": ["conv"],
        "core/model/word.py": ["pca"],
    }


def test_nothing_is_executed_that_came_from_a_file():
    wrong = {
        name_of(path): (calls(path) & FORBIDDEN_CALLS)
        | ({module.partition(".")[0] for module in imports(path)} & FORBIDDEN_MODULES)
        for path in SOURCES
    }
    assert {path: names for path, names in wrong.items() if names} == {}


def test_modules_are_imported_by_name_in_known_places_only():
    found = {
        name_of(path)
        for path in SOURCES
        if any(name.rpartition(".")[2] == "import_module" for name in calls(path))
    }
    assert found == set(MAY_IMPORT_BY_NAME)


def test_no_file_is_long():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_nothing_is_left_to_do():
    words = ("TODO", "FIXME", "XXX")
    found = {name_of(path): [w for w in words if w in path.read_text(encoding="utf-8")] for path in SOURCES}
    assert {path: left for path, left in found.items() if left} == {}


def test_modules_have_docstrings():
    """All but empty ``__init__.py`` files."""
    bare = [name_of(path) for path in SOURCES if tree_of(path).body and not ast.get_docstring(tree_of(path))]
    assert bare == []


def test_public_names_are_listed_in_order():
    """``__all__`` before everything but imports, sorted as ruff sorts it."""
    wrong = {}
    for path in SOURCES:
        body = tree_of(path).body
        places = [i for i, node in enumerate(body) if "__all__" in map(dotted, _targets(node))]
        if len(places) != 1:
            public = [node.name for node in body if hasattr(node, "name") and not node.name.startswith("_")]
            if places or public or path.name not in ("__init__.py", "__main__.py"):
                wrong[name_of(path)] = f"{len(places)} __all__"
            continue
        names = ast.literal_eval(body[places[0]].value)
        before = body[: places[0]]
        if names != sorted(set(names), key=_isort_order):
            wrong[name_of(path)] = "not sorted"
        elif not all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.If) for node in before):
            wrong[name_of(path)] = "not at the top"
    assert wrong == {}


def _targets(node):
    return (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )


def _isort_order(name):
    """Constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def packages():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)["tool"]["setuptools"]["packages"]


def every_module():
    """Names of all modules, by the listed packages: an editable install is no single folder to walk."""
    for package in packages():
        yield package
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not found.ispkg and found.name != "__main__":
                yield f"{package}.{found.name}"


def test_every_listed_name_exists():
    for name in every_module():
        module = importlib.import_module(name)
        missing = [public for public in getattr(module, "__all__", ()) if not hasattr(module, public)]
        assert missing == [], name


def test_no_module_is_there_under_two_names():
    """A second copy would have a registry, and error classes, of its own."""
    for name in every_module():
        importlib.import_module(name)
    names = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and Path(path).resolve() in SOURCES and name != "__main__":
            names.setdefault(Path(path).resolve(), []).append(name)
    assert {path: found for path, found in names.items() if len(found) > 1} == {}


DISTRIBUTIONS = {"PIL": "pillow", "huggingface_hub": "huggingface_hub", "sklearn": "scikit-learn"}
"""Of packages that are imported under another name."""
OPTIONAL = {
    "core/data/cells.py": "tables",
    "core/data/frames": "tables",
    "core/data/rows_out.py": "tables anndata",
    "core/data/table": "tables",
    "core/hub/": "hub",
    "core/testing/": "test",
    "core/training/bar.py": "notebook",
    "plugins/datasets/_h5ad.py": "anndata",
    "plugins/features/_perceptual.py": "lpips",
    "plugins/formats/onnx.py": "export",
    "plugins/trackers/": None,
}
"""Folders that may import what is in some extras, and their names; None for that of the package."""


def undeclared(root):
    """Packages that are imported and not among the dependencies of the project, by file."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]

    def names(requirements):
        return {re.match(r"[\w.-]+", text)[0] for text in requirements}

    extras = {extra: names(texts) for extra, texts in project["optional-dependencies"].items()}
    needed, found = names(project["dependencies"]), {}
    for path in sorted(path for tree in TREES for path in (root / tree).rglob("*.py")):
        name = str(path.relative_to(root))
        for top in {module.partition(".")[0] for module in imports(path)} - {
            "genmod",
            *sys.stdlib_module_names,
        }:
            package = DISTRIBUTIONS.get(top, top.replace("_", "-"))
            folder = next((folder for folder in OPTIONAL if name.startswith(folder)), None)
            allowed = (OPTIONAL[folder] or package).split() if folder else ()
            if package not in needed.union(*(extras.get(each, set()) for each in allowed)):
                found.setdefault(name, set()).add(package)
    return found


def test_what_is_imported_is_declared(tmp_path):
    assert undeclared(ROOT) == {}
    for name, package in {"core/a.py": "pandas", "plugins/b.py": "mlflow", "cli/c.py": "pytest"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"def f():\n    from {package} import x\n")
    assert undeclared(tmp_path) == {
        "core/a.py": {"pandas"},
        "plugins/b.py": {"mlflow"},
        "cli/c.py": {"pytest"},
    }


HEAVY = ("torch", "torchvision", "numpy", "pydantic", "scipy", "sklearn", "PIL", "rich", "safetensors")


@pytest.mark.parametrize(
    "module",
    [
        "genmod",
        "genmod.plugins",
        "genmod.spec",
        "genmod.registry.lookup",
        "genmod.options.schema",
        "genmod.model.build",
    ],
)
def test_importing_it_imports_nothing_heavy(module):
    script = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_public_names_load_one_by_one():
    """None is listed that does not exist."""
    import genmod

    for name in genmod.__all__:
        assert getattr(genmod, name) is not None
    assert set(genmod.__all__) <= set(dir(genmod))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = genmod.nothing
