"""Plugins that are switched off are listed and never imported; where the switches are read from."""

import contextlib
import sys
import threading

import pytest

from genmod.errors import UsageError
from genmod.registry.lookup import Registry, current_registry, use_registry

BOMB = "raise RuntimeError('imported')"


@pytest.fixture
def bombs(site):
    site.add("genmod-a", BOMB)
    site.add("genmod-b", BOMB)
    return site


def states(registry):
    return {
        each.distribution: each.status
        for each in registry.plugins()
        if each.distribution in ("genmod-a", "genmod-b")
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ("broken", "broken")),
        ({"disabled": ["genmod-a"]}, ("disabled", "broken")),
        ({"disabled": [" Genmod_A "]}, ("disabled", "broken")),
        ({"only": ["genmod.B"]}, ("disabled", "broken")),
        ({"only": []}, ("disabled", "disabled")),
        ({"only": ["genmod-a"], "disabled": ["genmod-a"]}, ("disabled", "disabled")),
        ({"third_party": False}, ("disabled", "disabled")),
    ],
)
def test_arguments(bombs, arguments, expected):
    registry = Registry(**arguments)
    assert states(registry) == dict(zip(("genmod-a", "genmod-b"), expected, strict=True))
    for distribution, status in states(registry).items():
        if status == "disabled":
            (found,) = [each for each in registry.plugins() if each.distribution == distribution]
            assert found.reason
            assert found.hint
            assert (found.version, found.entry_point) == ("1.0", "main")
    assert registry.find("encoder", "mlp").builtin


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("broken", "broken")),
        ({"GENMOD_DISABLE_PLUGINS": "x, Genmod_A ,"}, ("disabled", "broken")),
        ({"GENMOD_DISABLE_PLUGINS": ""}, ("broken", "broken")),
        ({"GENMOD_PLUGINS": ""}, ("disabled", "disabled")),
        ({"GENMOD_PLUGINS": " , "}, ("disabled", "disabled")),
        ({"GENMOD_PLUGINS": "genmod_b , x"}, ("disabled", "broken")),
        (
            {"GENMOD_PLUGINS": "genmod-a,genmod-b", "GENMOD_DISABLE_PLUGINS": "genmod-b"},
            ("broken", "disabled"),
        ),
        ({"GENMOD_STRICT_PLUGINS": "0"}, ("broken", "broken")),
        ({"GENMOD_STRICT_PLUGINS": ""}, ("broken", "broken")),
    ],
)
def test_environment(bombs, environ, expected):
    assert states(Registry.from_environment(environ)) == dict(
        zip(("genmod-a", "genmod-b"), expected, strict=True)
    )


def test_command_line_adds_to_the_environment(bombs):
    environ = {"GENMOD_DISABLE_PLUGINS": "genmod-a"}
    both = Registry.from_environment(environ, disabled=["genmod-b"])
    assert states(both) == {"genmod-a": "disabled", "genmod-b": "disabled"}
    none = Registry.from_environment({}, third_party=False)
    assert states(none) == {"genmod-a": "disabled", "genmod-b": "disabled"}


def test_blocked_plugins_are_not_imported(bombs):
    Registry(only=[], strict=True).components()
    assert not {"genmod_a", "genmod_b"} & set(sys.modules)


@pytest.mark.parametrize("name", ["genmod-torch", "Genmod_Torch"])
def test_builtin_components_cannot_be_disabled(name):
    with pytest.raises(UsageError, match="genmod-torch holds the built-in components"):
        Registry(disabled=[name])


def test_allow_list_without_the_builtin_ones_keeps_them():
    assert Registry(only=["genmod-x"]).find("encoder", "mlp").builtin


def test_current_registry():
    default = current_registry()
    assert current_registry() is default
    mine, inner = Registry(third_party=False), Registry(only=[])
    with use_registry(mine) as used:
        assert current_registry() is mine is used
        with contextlib.suppress(KeyError), use_registry(inner):
            assert current_registry() is inner
            raise KeyError
        assert current_registry() is mine
    assert current_registry() is default


def test_other_threads_keep_the_default():
    default, seen = current_registry(), []
    with use_registry(Registry(third_party=False)):
        thread = threading.Thread(target=lambda: seen.append(current_registry()))
        thread.start()
        thread.join()
    assert seen == [default]


def test_default_is_made_from_the_environment(site, python):
    site.add("genmod-a", BOMB)
    code = """
import json, os
from genmod.registry.lookup import current_registry
os.environ["GENMOD_PLUGINS"] = ""  # too early is not asked for: the first use decides
print(json.dumps({s.distribution: s.status for s in current_registry().plugins()}))
"""
    assert python("-c", code)["genmod-a"] == "disabled"
