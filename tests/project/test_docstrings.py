"""What is documented: examples that run, and nothing that a user meets without an explanation."""

import doctest
import importlib.util
import inspect
import pkgutil
import re
import tomllib
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch

from genmod.options.schema import options_of
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.spec import MODEL_KINDS
from genmod.system.installed import installed

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = [
    provided
    for provided in Registry(third_party=False).components()
    if KINDS[provided.kind] and all(map(installed, provided.component.requires))
]
RECIPES = Registry(third_party=False).components("recipe")


def modules():
    """Names of all modules. Importing them from their paths instead would make second copies."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        packages = tomllib.load(stream)["tool"]["setuptools"]["packages"]
    for package in packages:
        yield package
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not found.ispkg and found.name != "__main__":
                yield f"{package}.{found.name}"


MODULES = list(modules())


LONG = {
    f"genmod.{name}"
    for name in (
        "explorer.graph",
        "figures.comparison",
        "model.fit_sampler",
        "plugins.metrics.dci",
        "report.page",
        "testing.runner",
    )
}
"""Modules whose examples take seconds."""


def with_examples():
    for name in MODULES:
        if ">>> " in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8"):
            yield pytest.param(name, marks=pytest.mark.slow if name in LONG else ())


@pytest.mark.parametrize("name", list(with_examples()))
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def test_there_are_examples():
    """An empty search would pass as well."""
    finder = doctest.DocTestFinder()
    examples = [e for name in MODULES for t in finder.find(importlib.import_module(name)) for e in t.examples]
    assert len(examples) > 100


def public(name):
    """Classes and functions that a module defines and lists, with the public methods of the classes."""
    module = importlib.import_module(name)
    for each in getattr(module, "__all__", ()):
        value = getattr(module, each)
        if getattr(value, "__module__", None) != name or not (
            inspect.isclass(value) or inspect.isfunction(value)
        ):
            continue
        yield each, value
        if inspect.isclass(value):
            for attribute, method in vars(value).items():
                plain = inspect.unwrap(getattr(method, "__func__", getattr(method, "fget", None) or method))
                if not attribute.startswith("_") and inspect.isfunction(plain):
                    yield f"{each}.{attribute}", plain


def is_explained(module, path, value):
    owner, _, attribute = path.partition(".")
    classes = getattr(module, owner).__mro__ if attribute else ()
    return (
        inspect.getdoc(value)
        or any(attribute in vars(base) and vars(base)[attribute].__doc__ for base in classes[1:])
        # A hook is explained where it is specified; a property of one line explains itself.
        or hasattr(value, "genmod_impl")
        or (attribute and len(inspect.getsource(value).splitlines()) <= 3)
    )


def test_public_things_say_what_they_are():
    """A summary line; a method that implements an abstract one may leave it to that one's docstring."""
    undocumented = [
        f"{name}:{path}"
        for name in MODULES
        for path, value in public(name)
        if not is_explained(importlib.import_module(name), path, value)
    ]
    assert undocumented == []


@pytest.mark.parametrize("provided", COMPONENTS, ids=lambda p: f"{p.kind}-{p.name}")
def test_component_is_explained(provided):
    """Summary for lists; docstring with what it computes, of which shape, after whom, and an example."""
    cls = provided.load()
    text = inspect.cleandoc(cls.__doc__ or "")
    assert provided.component.summary, "no summary"
    assert len(provided.component.summary) <= 90
    assert text.splitlines()[0].endswith((".", ":")), "no summary line"
    if provided.kind in (*MODEL_KINDS, "dataset"):
        assert re.search(r"Example:\n\s+>>> ", text), "no example"
        example = text.split(">>> ", 1)[1]
        assert f"{cls.__name__}(" in example or f'"{provided.name}"' in example, (
            "an example of something else"
        )
    if provided.kind in MODEL_KINDS:
        assert re.search(r"Reference:\n[^>]*\([^()]*\d{4}\)", text), "no reference: Title (Authors, year)"
        assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|openreview \w+", text), (
            "no arXiv id, doi or openreview id"
        )
        if getattr(cls, "support", True) is not None or cls.has_density:
            assert re.search(r"``[^`]*(?:→|=)[^`]*``", text), "no formula or shape"
    written = getattr(cls, "__post_init__" if is_dataclass(cls) else "__init__", None)
    if "__init__" in vars(cls) and inspect.isfunction(written) and "raise " in inspect.getsource(written):
        assert "Raises:" in text


@pytest.mark.parametrize("provided", COMPONENTS, ids=lambda p: f"{p.kind}-{p.name}")
def test_every_option_is_explained(provided):
    for option in options_of(provided.load()):
        assert len(option.doc) >= 10, option.name
        assert option.words, option.name
        assert not option.doc.endswith("."), option.name


@pytest.mark.parametrize("provided", RECIPES, ids=lambda p: p.name)
def test_recipe_is_explained(provided):
    table = tomllib.loads(provided.text())
    assert table["summary"]
    assert re.search(r"\([^()]*\d{4}\)", table["paper"])
