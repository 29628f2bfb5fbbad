"""What is read from the source of a class is what its import says."""

import importlib
import inspect
import sys

import pytest

from genmod.options.schema import options_of
from genmod.options.source import declared
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.system.installed import installed

CLASSES = [
    provided
    for provided in Registry(third_party=False).components()
    if KINDS[provided.kind] and all(map(installed, provided.component.requires))
]


@pytest.mark.parametrize("provided", CLASSES, ids=lambda p: f"{p.kind} {p.name}")
def test_every_component(provided):
    found, cls = declared(provided.component.target), provided.load()
    assert found is not None, "show would import torch; write its signature as others are written"
    assert found.doc == inspect.getdoc(cls)
    assert found.options == options_of(cls)
    assert [option.words for option in found.options] == [option.words for option in options_of(cls)]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The target of a class of a new module, from its source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body, *, name="written_for_a_test"):
        text = (
            "from typing import Annotated, ClassVar, Literal\nfrom annotated_types import Gt\n"
            f"from genmod import Doc, Encoder\nfrom torch import nn\n{body}"
        )
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return f"{name}:Part"

    yield write
    for name in [name for name in sys.modules if name.startswith("written_for")]:
        del sys.modules[name]


READABLE = {
    "own": """
SIZES = ("small", "large")
Width = Annotated[int, Gt(2**3 - 1), Doc(f"one of {SIZES[0]} width")]
class Part(nn.Module):
    "A part."
    def __init__(self, shape, *, width: Width = 4 * 2, of: Literal["a", "b"] | None = None, needed: float) -> None: ...
""",
    "inherited": """
class Base(Encoder):
    def __init__(self, shape, *, width: int = -1) -> None: ...
class Part(Base):
    "A part."
""",
    "fields": """
from dataclasses import dataclass
@dataclass(kw_only=True)
class Base:
    width: int = 1
    name: ClassVar[str] = "a"
@dataclass(kw_only=True, eq=False)
class Part(Base):
    "A part."
    height: Annotated[float, Doc("how high")] = 1.0
""",
}


@pytest.mark.parametrize("name", READABLE)
def test_what_is_understood(written, name):
    target = written(READABLE[name], name=f"written_for_{name}")
    found = declared(target)
    module = target.partition(":")[0]
    assert module not in sys.modules
    assert found is not None
    assert found.options == options_of(importlib.import_module(module).Part)


UNREADABLE = {
    "computed": "class Part:\n    'A part.'\n    def __init__(self, *, width: int = len('abc')) -> None: ...",
    "absent": "import math\nclass Part:\n    'A part.'\n    def __init__(self, *, width: float = math.infinite) -> None: ...",
    "beyond": "SIZES = (1,)\nclass Part:\n    'A part.'\n    def __init__(self, *, width: int = SIZES[1]) -> None: ...",
    "decorated": "import functools\n@functools.cache\nclass Part:\n    'A part.'",
    "dealt": "a, b = 1, 2\nclass Part:\n    'A part.'\n    def __init__(self, *, width: int = a) -> None: ...",
    "two_bases": "class A: ...\nclass B: ...\nclass Part(A, B):\n    'A part.'",
    "silent": "class Part:\n    def __init__(self, *, width: int = 1) -> None: ...",
    "chosen": "if True:\n    class Part:\n        'A part.'",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_needs_an_import(written, name):
    assert declared(written(UNREADABLE[name], name=f"written_for_{name}")) is None


def test_nothing_is_run(written):
    target = written("raise SystemExit\nclass Part:\n    'A part.'", name="written_for_nothing")
    assert declared(target).options == ()
