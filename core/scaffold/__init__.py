"""A new plugin: a pip-installable package with a working component of each kind asked for, and its tests."""

import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from genmod.defaults import METRIC_OF_FEATURES
from genmod.errors import FileError, UsageError
from genmod.options.kinds import kinds_hint
from genmod.registry.component import KINDS, Component
from genmod.registry.lookup import Registry
from genmod.system.files import staged_directory
from genmod.system.installed import OWN_DISTRIBUTION, installed, version_of

__all__ = ["new_plugin", "plugin_files", "usage"]

_SUMMARIES = {
    "model": "independent normals, one for each value",
    "encoder": "one linear layer and a ReLU",
    "posterior": "normal with one scale for all latents",
    "prior": "normal with a learned mean and scale",
    "decoder": "real values with Laplace noise",
    "network": "two linear layers with a ReLU between them",
    "divergence": "mean of both KL divergences, in closed form",
    "objective": "distortion plus weighted divergence",
    "critic": "a layer that tells codes from draws of the prior",
    "dataset": "points around a circle",
    "sampler": "normal with independent dimensions",
    "metric": "squared length of the codes",
    "features": "values in units of their spread",
    "tracker": "lines of text, metrics.txt",
    "format": "weights as a .npz file, parts as JSON",
    "recipe": "a small VAE of linear layers",
    "reproduction": "two weights of the divergence on the digits",
}

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "{description}"
readme = "README.md"
requires-python = ">=3.11"
# Not `genmod`: on PyPI that is an unrelated package.
dependencies = ["{own}>={version}"]

[project.optional-dependencies]
test = ["pytest>=8"]

# The group names the version of the plugin contract, the module yields the components.
[project.entry-points."genmod.v1"]
{name} = "{package}.plugin"

[tool.setuptools]
packages = ["{package}"]

[tool.setuptools.package-data]
{package} = ["py.typed", "*.toml"]

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["--import-mode=importlib"]
filterwarnings = ["error"]
"""

_PLUGIN = '''\
"""The components of this package; every ``genmod list`` imports this module, so it imports no torch."""

from collections.abc import Iterator

from genmod import Component, hookimpl

__all__ = ["genmod_components"]


@hookimpl
def genmod_components() -> Iterator[Component]:
{records}
'''

_TEST = '''\
"""Every component of this package against the laws of its kind."""

from genmod.testing import parametrize_with_checks


@parametrize_with_checks(["{distribution}"])
def test_component(check):
    check()
'''

_README = """\
# {distribution}

{description}.

```console
$ pip install -e '.[test]'
$ pytest
```

The first command installs the package, the second checks every component: shapes, gradients, saving, and the
mathematics. `genmod check {distribution}` does the same without pytest.

{table}

Change what is in `{package}/`, keep the tests green, and raise `revision` of a `Component` when an option changes
its meaning.
"""


def new_plugin(name: str, kinds: Sequence[str], directory: Path | None = None) -> Path:
    """Write the package of a new plugin.

    Args:
        name: of the components; the distribution is ``genmod-NAME``.
        kinds: of its components, one each.
        directory: of the package; ``genmod-NAME`` in the current folder by default.

    Returns:
        The directory.

    Raises:
        UsageError: an unknown kind, or a name that is not allowed.
        FileError: the directory exists and is not empty, or cannot be written.

    Example:
        >>> import tempfile
        >>> place = new_plugin("rows", ["decoder"], Path(tempfile.mkdtemp()) / "genmod-rows")
        >>> sorted(path.name for path in place.iterdir())
        ['README.md', 'genmod_rows', 'pyproject.toml', 'tests']
    """
    contents = plugin_files(name, kinds)
    directory = Path(f"genmod-{_bare(name)}") if directory is None else directory
    if directory.is_symlink() or (
        directory.exists() and not (directory.is_dir() and not any(directory.iterdir()))
    ):
        raise FileError(
            f"{directory} exists and is left as it is",
            hint="choose another place with -o DIR, or another name",
        )
    with staged_directory(directory) as stage:
        for path, text in contents.items():
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (stage / path).write_text(text, encoding="utf-8", newline="\n")
    return directory


def plugin_files(name: str, kinds: Sequence[str]) -> dict[str, str]:
    """Path → text of every file of the package.

    Raises:
        UsageError: an unknown kind, or a name that is not allowed.
    """
    name = _bare(name)
    kinds = [kind for kind in KINDS if kind in set(_checked(name, kinds))]
    package = f"genmod_{re.sub('[-.]', '_', name)}"
    camel = "".join(part.capitalize() for part in re.split("[-.]", name))
    values = {
        "name": name,
        "package": package,
        "distribution": f"genmod-{name.replace('.', '-')}",
        "description": f"The {_and(kinds)} {name} for genmod",
        "own": OWN_DISTRIBUTION,
        "version": version_of(installed(OWN_DISTRIBUTION)),
        "records": "\n".join(_record(kind, name, package, camel) for kind in kinds),
        "table": _table(kinds, name, package),
    }
    contents = {
        "pyproject.toml": _PYPROJECT.format_map(values),
        "README.md": _README.format_map(values),
        f"{package}/__init__.py": f'"""{values["description"]}."""\n',
        f"{package}/plugin.py": _PLUGIN.format_map(values),
        f"{package}/py.typed": "",
        "tests/test_components.py": _TEST.format_map(values),
    }
    for kind in kinds:
        if kind == "recipe":
            contents[f"{package}/{_files(kind, name)}"] = _recipe(kinds, f"{values['distribution']}/{name}")
        elif kind == "reproduction":
            contents[f"{package}/{_files(kind, name)}"] = _template("reproduction.toml")
        else:
            contents[f"{package}/{kind}.py"] = _template(f"{kind}.py").replace("Template", camel)
    return contents


def usage(kind: str, name: str) -> list[str]:
    """The command line that uses a component.

    Example:
        >>> usage("dataset", "digits")
        ['genmod', 'build', '--data', 'digits']
    """
    words = {
        "recipe": ["build", name],
        "reproduction": ["reproduce", name],
        "dataset": ["build", "--data", name],
        "tracker": ["train", "--tracker", name],
        "format": ["export", "--format", name, "-o", "OUT"],
        "sampler": ["fit-sampler", "--sampler", name],
        "metric": ["evaluate", "--metric", name],
        "features": ["evaluate", "--metric", f"{METRIC_OF_FEATURES}[{name}]"],
    }
    return ["genmod", *words.get(kind, ["build", f"--{kind}", name])]


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _bare(name: str) -> str:
    return name.removeprefix("genmod-")


def _checked(name: str, kinds: Sequence[str]) -> Sequence[str]:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise UsageError(
            f"there is no kind {', '.join(map(repr, unknown))} of component"
            if unknown
            else "no kind was given",
            hint=kinds_hint(unknown, KINDS),
        )
    try:
        Component(kinds[0], name, "a:b")
    except ValueError as error:
        raise UsageError(f"{error}", hint="for example: genmod plugin new student-t --kind decoder") from None
    for kind in kinds:
        if any(name in provided.names for provided in Registry(third_party=False).components(kind)):
            raise UsageError(f"{name!r} is the name of a built-in {kind}", hint="choose another name")
    return kinds


def _template(file: str) -> str:
    return files("genmod.scaffold.templates").joinpath(file).read_text(encoding="utf-8")


def _files(kind: str, name: str) -> str:
    """The path in the package of a component that is a text."""
    return f"{name}.toml" if kind == "recipe" else f"{name}-{kind}.toml"


def _record(kind: str, name: str, package: str, camel: str) -> str:
    python = f"{package}.{kind}:{camel}{kind.capitalize()}"
    target = python if KINDS[kind] else f"{package}:{_files(kind, name)}"
    fields = (kind, name, target)
    lines = "".join(f'        "{field}",\n' for field in fields)
    return f'    yield Component(\n{lines}        summary="{_SUMMARIES[kind]}",\n    )'


def _table(kinds: Sequence[str], name: str, package: str) -> str:
    rows = [f"| {kind} `{name}` | {_SUMMARIES[kind]} | `{shlex.join(usage(kind, name))}` |" for kind in kinds]
    return "\n".join(["| component | what it is | how it is used |", "|---|---|---|", *rows])


def _recipe(kinds: Sequence[str], qualified: str) -> str:
    """The template, with the other components of the package in it."""
    text = _template("recipe.toml")
    for kind in kinds:
        text = re.sub(rf'^{kind} = ".*"$', f'{kind} = "{qualified}"', text, flags=re.MULTILINE)
    if "network" in kinds:
        text = text.replace("divergence = ", f'network = "{qualified}"\ndivergence = ')
    return text
