"""From a recorded component to the installed one: missing, older, newer, changed."""

import importlib
import json
import shlex
import shutil
import sys
from dataclasses import replace

import pytest

from genmod.errors import PluginError, PluginWarning
from genmod.model.resolve import resolve_kinds
from genmod.registry.errors import MissingPluginError, UnknownComponentError
from genmod.registry.file_version import shortened
from genmod.registry.lookup import Registry
from genmod.registry.migration import find_recorded, migrated
from genmod.spec import ComponentSpec, ModelSpec

CLASS = """
from genmod.scaffold.templates.encoder import TemplateEncoder
class Plain(TemplateEncoder):
    pass
class Migrates(TemplateEncoder):
    @staticmethod
    def migrate(options, revision):
        return {"width": options["size"] * 10 + revision}
class Raises(TemplateEncoder):
    @staticmethod
    def migrate(options, revision):
        raise KeyError("size")
class ReturnsNothing(TemplateEncoder):
    @classmethod
    def migrate(cls, options, revision):
        return None
"""


@pytest.fixture
def installed(site):
    """A registry where genmod-x 2.0 has an encoder ``thing`` of this class and revision."""

    def install(cls="Plain", revision=1):
        record = f'"encoder", "thing", "genmod_net:{cls}", revision={revision}'
        site.plugin("genmod-x", record, version="2.0", genmod_net=CLASS)
        return Registry()

    yield install
    sys.modules.pop("genmod_net", None)


def recorded(name="genmod-x/thing", *, revision=1, version="1.5", provider="genmod-x"):
    return ComponentSpec(name, {"size": 3}, provider, version, revision)


def test_same_revision_of_another_version(installed):
    part = recorded()
    provided = find_recorded(installed(), "encoder", part)
    assert migrated(provided, part) == {"size": 3}


def test_earlier_revision_is_converted(installed):
    part = recorded(revision=1)
    assert migrated(find_recorded(installed("Migrates", 2), "encoder", part), part) == {"width": 31}
    assert part.options == {"size": 3}


def test_typed_options_are_not_converted(installed):
    part = ComponentSpec("thing", {"width": 7})
    assert migrated(find_recorded(installed("Migrates", 2), "encoder", part), part) == {"width": 7}


@pytest.mark.parametrize(
    ("cls", "match"),
    [
        ("Plain", "it has no migrate"),
        ("Raises", "KeyError: 'size'"),
        ("ReturnsNothing", "migrate returned a NoneType"),
    ],
)
def test_earlier_revision_that_is_not_converted(installed, cls, match):
    part = recorded(revision=1)
    provided = find_recorded(installed(cls, 3), "encoder", part)
    with pytest.raises(PluginError, match=match) as raised:
        migrated(provided, part)
    assert "revision 1 of its options, and it is at revision 3" in raised.value.message
    assert raised.value.hint == "pip install genmod-x==1.5"


def test_later_revision(installed):
    with pytest.raises(
        PluginError, match=r"saved by genmod-x 3.0 \(revision 4\); installed is 2.0"
    ) as raised:
        find_recorded(installed(revision=2), "encoder", recorded(revision=4, version="3.0"))
    assert raised.value.hint == "pip install --upgrade genmod-x"


def test_missing_plugin_says_which_version():
    part = recorded("genmod-gone/thing", provider="genmod-gone")
    with pytest.raises(MissingPluginError, match=r"not installed; the model was saved with 1\.5") as raised:
        find_recorded(Registry(), "encoder", part)
    assert raised.value.hint == (
        "look at the package first, its code runs as you: https://pypi.org/project/genmod-gone\n"
        "pip install genmod-gone==1.5"
    )


def test_a_file_of_a_stranger_is_named_as_one_word():
    part = recorded("./mine; ls .py/thing", provider="./mine; ls .py", version="sha256:0")
    with pytest.raises(MissingPluginError) as raised:
        find_recorded(Registry(), "encoder", part)
    assert shlex.split(raised.value.hint) == ["give", "it:", "--plugin", "./mine; ls .py"]


@pytest.mark.parametrize("version", ["1.0 --index-url=http://evil.example", "-r x", "", "1.0\nrm"])
def test_versions_of_strangers_reach_no_pip_line(version):
    part = recorded("genmod-gone/thing", provider="genmod-gone", version=version)
    with pytest.raises(MissingPluginError) as raised:
        find_recorded(Registry(), "encoder", part)
    assert raised.value.hint.splitlines()[1:] == ["pip install genmod-gone"]


def test_installed_version_without_that_component(installed):
    with pytest.raises(PluginError, match=r"saved by genmod-x 3.0; installed is 2.0") as raised:
        find_recorded(installed(), "encoder", recorded("genmod-x/newer", version="3.0"))
    assert raised.value.hint.startswith("pip install genmod-x==3.0")


def test_typed_name_that_is_unknown(installed):
    with pytest.raises(UnknownComponentError):
        find_recorded(installed(), "encoder", ComponentSpec("genmod-x/newer"))


def test_changed_file(tmp_path):
    path = tmp_path / "my_part.py"
    path.write_text(
        "from genmod import Component, hookimpl\n@hookimpl\ndef genmod_components():\n"
        '    yield Component("encoder", "thing", "genmod.scaffold.templates.encoder:TemplateEncoder")\n'
    )
    registry = Registry(files=[path])
    now = registry.find("encoder", "thing").version
    try:
        same = recorded("./my_part.py/thing", provider="./my_part.py", version=now)
        assert find_recorded(registry, "encoder", same).version == now
        with pytest.raises(PluginError, match=r"saved with another ./my_part.py: sha256:0 then") as raised:
            find_recorded(
                registry,
                "encoder",
                recorded("./my_part.py/thing", provider="./my_part.py", version="sha256:0"),
            )
        assert f"{shortened(now)} now" in raised.value.message
    finally:
        sys.modules.pop("my_part", None)


def test_file_that_is_not_given():
    part = recorded("./my_part.py/thing", provider="./my_part.py", version="sha256:12")
    with pytest.raises(MissingPluginError, match=r"'./my_part.py', which was not given.*sha256:12") as raised:
        find_recorded(Registry(), "encoder", part)
    assert raised.value.hint == "give it: --plugin ./my_part.py"


OPTIONS = """
from typing import Annotated
from genmod import Doc
from genmod.scaffold.templates.encoder import TemplateEncoder
class Wide(TemplateEncoder):
    def __init__(self, data_shape, *, width: Annotated[int, Doc({doc!r})] = {default}, more: int = 0):
        super().__init__(data_shape, width=width)
"""


@pytest.fixture
def versions(site):
    """A function that installs a version of genmod-x whose encoder ``wide`` has this option, in place of any before."""

    def install(version, default=8, doc="numbers of features"):
        sys.modules.pop("genmod_wide", None)
        for old in [*site.path.glob("genmod_x*"), *site.path.glob("genmod_wide*")]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        importlib.invalidate_caches()
        record = '"encoder", "wide", "genmod_wide:Wide"'
        module = OPTIONS.format(default=default, doc=doc)
        site.plugin("genmod-x", record, version=version, genmod_wide=module)
        return Registry()

    yield install
    sys.modules.pop("genmod_wide", None)


def saved(registry):
    """The encoder as a model file has it."""
    spec = ModelSpec.from_table({"encoder": "wide"})
    part = resolve_kinds(spec, ["encoder"], registry=registry).components["encoder"]
    return ComponentSpec.from_json(json.loads(json.dumps(part.to_json())))


def loaded(registry, part):
    return resolve_kinds(ModelSpec({"encoder": part}), ["encoder"], registry=registry).components["encoder"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"default": 16}, "the default of width"),
        ({"doc": "features of each row"}, "the description of width"),
        ({"default": 16, "doc": "rows"}, "the default and description of width"),
    ],
)
def test_an_option_that_changed_without_a_revision_is_told(versions, change, words):
    part = saved(versions("1.0"))
    with pytest.warns(
        PluginWarning, match=f"saved by genmod-x 1.0; 2.0 is installed, which differs in {words}"
    ):
        found = loaded(versions("2.0", **change), part)
    assert found.options == part.options


def test_the_same_options_of_another_version_are_silent(versions):
    part = saved(versions("1.0"))
    assert loaded(versions("2.0"), part).version == "2.0"


def test_a_file_without_declared_options_is_silent(versions):
    part = replace(saved(versions("1.0")), declared={})
    assert "declared" not in part.to_json()
    loaded(versions("2.0", default=16), part)


def test_built_in_components_record_no_declared_options():
    spec = resolve_kinds(ModelSpec.from_table({"encoder": "mlp"}), ["encoder"])
    assert set(spec.components["encoder"].to_json()) == {"name", "options", "provider", "version", "revision"}


@pytest.mark.parametrize("wrong", [{"width": 3}, 5, ["width"]])
def test_damaged_declared_options_are_refused(versions, wrong):
    plain = saved(versions("1.0")).to_json() | {"declared": wrong}
    with pytest.raises((ValueError, TypeError)):
        ComponentSpec.from_json(plain)
