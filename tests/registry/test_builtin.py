"""The built-in plugin enters by the same door, and nothing heavy is imported before a component is used."""

import importlib.util
import sys
import tomllib

import pytest

import genmod
from genmod.errors import PluginError
from genmod.registry import discovery
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.system.environment import versions

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


def test_broken_builtin_plugin_is_an_error_and_no_status(monkeypatch):
    monkeypatch.setitem(sys.modules, "genmod.plugins", None)
    with pytest.raises(ModuleNotFoundError, match=r"genmod\.plugins"):
        Registry().components()


@pytest.mark.parametrize("name", ["genmod-torch", "Genmod.Torch", "GENMOD__torch"])
@pytest.mark.parametrize(
    "points", [{"builtin": "genmod_torch"}, {"builtin": "genmod.plugins"}, {"a": "b"}, {}]
)
def test_another_distribution_of_that_name_is_not_the_built_in_one(site, name, points):
    """It comes first on the path."""
    module = "\n".join(f"{key} = {value}" for key, value in points.items())
    site.metadata(name, "9.9", f"[genmod.v1]\n{module}\n[console_scripts]\ngenmod = genmod_torch:main\n")
    (site.path / "genmod_torch.py").write_text("raise SystemExit('it was imported')")
    registry = Registry()
    (own,) = [status for status in registry.plugins() if status.distribution == "genmod-torch"]
    assert (own.version, own.status, own.entry_point) == (genmod.__version__, "ok", "builtin")
    assert genmod.__version__ == versions()["genmod-torch"] != "9.9"
    assert registry.find("encoder", "mlp").load().__module__ == "genmod.plugins.encoders.mlp"
    others = [status for status in registry.plugins() if str(site.path) in status.distribution]
    assert [status.status for status in others] == ["broken"] * (
        points not in ({}, {"builtin": "genmod.plugins"})
    )
    assert all("calls itself genmod-torch" in status.reason for status in others)
