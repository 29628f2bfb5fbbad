"""The built-in plugin enters by the same door, and nothing heavy is imported before a component is used."""

import importlib.util
import tomllib

import pytest

from genmod.errors import PluginError
from genmod.registry import discovery
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry

BUILTIN = Registry(third_party=False).components()

LIST = """
import json, sys
before = set(sys.modules)
from genmod.registry.lookup import Registry
imported = set(sys.modules) - before
registry = Registry()
registry.components()
for kind in {kinds}:
    registry.names(kind)
registry.plugins()
registry.requirements()
try:
    registry.find("encoder", "no-such-encoder")
except ValueError:
    pass
watched = ["torch", "torchvision", "numpy", "pydantic", "rich", "scipy", "sklearn", "PIL", "genmod.interfaces.encoder"]
print(json.dumps([[m for m in watched if m in sys.modules], "importlib.metadata" in imported]))
"""


def test_clean_interpreter(site, python):
    site.plugin("genmod-vq", '"encoder", "vq", "genmod_vq:Vq"')
    assert python("-c", LIST.format(kinds=list(KINDS))) == [[], False]


def test_builtin_plugin_is_whole():
    (status,) = Registry(third_party=False).plugins()[:1]
    assert (status.distribution, status.entry_point) == ("genmod-torch", "builtin")
    assert (status.status, status.reason) == ("ok", "")


def test_every_kind_has_builtin_components():
    components = Registry(third_party=False).components()
    assert {p.kind for p in components} == set(KINDS)


@pytest.mark.parametrize(
    "provided", Registry(third_party=False).components(), ids=lambda p: f"{p.kind}-{p.name}"
)
def test_builtin_record(provided):
    assert 10 <= len(provided.component.summary) <= 72
    assert not provided.component.summary.endswith(".")
    module, _, attribute = provided.component.target.partition(":")
    folder = provided.kind if provided.kind.endswith("s") else f"{provided.kind}s"
    if provided.kind in ("recipe", "reproduction"):
        assert (module, attribute) == (f"genmod.plugins.{folder}", f"{provided.name}.toml")
    else:
        assert module == f"genmod.plugins.{folder}.{provided.name.replace('-', '_')}"


@pytest.mark.parametrize("provided", BUILTIN, ids=lambda p: f"{p.kind}-{p.name}")
def test_builtin_target(provided):
    missing = [name for name in provided.component.requires if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    assert provided.load() if KINDS[provided.kind] else tomllib.loads(provided.text())


def test_incomplete_installation(monkeypatch):
    monkeypatch.setattr(discovery, "installed", lambda name: None)
    with pytest.raises(PluginError, match="installation of genmod-torch is incomplete"):
        Registry().find("encoder", "mlp")


def test_broken_builtin_plugin_is_an_error_and_no_status(site):
    site.add("genmod-torch", entry_points={"builtin": "genmod_nowhere"})
    with pytest.raises(ModuleNotFoundError, match="genmod_nowhere"):
        Registry().components()
