"""Benchmarks, which nothing else runs: what they import from genmod is there."""

import ast
import importlib.util
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))


CALLED = [script for script in SCRIPTS if "__main__" in script.read_text() and script.stem != "one_side"]
"""Those that one calls; the other one is a part of another."""


def is_there(module, name):
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_what_a_benchmark_imports_is_there(script):
    nodes = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    own = [node for node in nodes if (node.module or "").split(".")[0] == "genmod"]
    names = [(node.module, each.name) for node in own for each in node.names]
    assert [name for name in names if not is_there(*name)] == []


@pytest.mark.parametrize("script", CALLED, ids=lambda script: script.stem)
def test_a_benchmark_that_is_asked_for_help_does_nothing_else(script):
    """One that reads no options would begin, and write files."""
    assert "ArgumentParser(" in script.read_text()
