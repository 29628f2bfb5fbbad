"""Which component a name means, and what is said of a name that means none."""

import sys

import pytest

from genmod.errors import PluginError, UsageError
from genmod.registry.component import KINDS
from genmod.registry.errors import MissingPluginError, UnknownComponentError
from genmod.registry.lookup import Registry


def third_party(registry, kind):
    return [p.qualified for p in registry.components(kind) if not p.builtin]


def test_builtin_name_touches_no_third_party_code(site):
    site.add("genmod-bomb", "raise KeyboardInterrupt")
    registry = Registry()
    mlp = registry.find("encoder", "mlp")
    assert (mlp.qualified, mlp.builtin) == ("genmod-torch/mlp", True)
    assert registry.find("encoder", "genmod-torch/mlp") == mlp
    assert registry.find("encoder", "Genmod.Torch/mlp") == mlp
    assert registry.components("encoder", third_party=False)
    assert "genmod_bomb" not in sys.modules
    with pytest.raises(KeyboardInterrupt):
        registry.find("encoder", "nothing-of-that-name")


def test_qualified_name_loads_that_plugin_alone(site):
    site.plugin("genmod-vq", '"encoder", "vq", "x:Y"', version="2.0")
    site.add("genmod-bomb", "raise KeyboardInterrupt")
    vq = Registry().find("encoder", "Genmod_VQ/vq")
    assert (vq.distribution, vq.version, vq.builtin, vq.name, vq.kind) == (
        "genmod-vq",
        "2.0",
        False,
        "vq",
        "encoder",
    )


def test_unique_name_and_alias(site):
    site.plugin("genmod-vq", '"encoder", "vq", "x:Y", aliases=("quantised", "vector")')
    registry = Registry()
    vq = registry.find("encoder", "vq")
    assert registry.find("encoder", "quantised") == registry.find("encoder", "genmod-vq/vector") == vq
    assert "vq" in registry.names("encoder")
    assert "quantised" not in registry.names("encoder")


def test_same_name_in_two_kinds_is_no_clash(site):
    site.plugin("genmod-a", '"encoder", "x", "x:Y"')
    site.plugin("genmod-b", '"posterior", "x", "x:Y"')
    assert Registry().find("encoder", "x").distribution == "genmod-a"
    assert Registry().find("posterior", "x").distribution == "genmod-b"


@pytest.mark.parametrize("second", ['"encoder", "vq", "x:Y"', '"encoder", "other", "x:Y", aliases=("vq",)'])
def test_two_providers_of_a_bare_name(site, second):
    site.plugin("genmod-a", '"encoder", "vq", "x:Y"', '"encoder", "only", "x:Y"')
    site.plugin("genmod-b", second)
    registry = Registry()
    with pytest.raises(UsageError, match="2 plugins provide the encoder 'vq'") as raised:
        registry.find("encoder", "vq")
    assert "genmod-a/vq or genmod-b/vq" in raised.value.hint
    assert registry.find("encoder", "genmod-a/vq").distribution == "genmod-a"
    assert registry.find("encoder", "genmod-b/vq").distribution == "genmod-b"
    assert registry.find("encoder", "only").distribution == "genmod-a"
    assert "vq" not in registry.names("encoder")
    assert "genmod-a/vq" in registry.names("encoder")


@pytest.mark.parametrize("record", ['"encoder", "mlp", "x:Y"', '"encoder", "mine", "x:Y", aliases=("mlp",)'])
def test_builtin_names_are_reserved(site, record):
    site.plugin("genmod-greedy", record)
    registry = Registry()
    registry.plugins()
    assert registry.find("encoder", "mlp").builtin
    assert not registry.find("encoder", "genmod-greedy/mlp").builtin
    names = registry.names("encoder")
    assert names.count("mlp") == 1
    assert ("genmod-greedy/mlp" in names) or ("mine" in names)


def test_names_are_spelled_as_they_are_found(site):
    site.plugin("genmod-a", '"encoder", "mlp", "x:Y"', '"encoder", "vq", "x:Y", aliases=("conv", "w")')
    site.plugin("genmod-b", '"encoder", "vq", "x:Y"', '"encoder", "w", "x:Y"', '"encoder", "free", "x:Y"')
    registry = Registry()
    for kind in KINDS:
        names, components = registry.names(kind), registry.components(kind)
        assert len(names) == len(components)
        assert [registry.find(kind, name) for name in names] == components


def test_order(site):
    site.plugin("genmod-b", '"prior", "b", "x:Y"', '"encoder", "a", "x:Y"', '"encoder", "z", "x:Y"')
    site.plugin("genmod-a", '"encoder", "z", "x:Y"')
    components = Registry().components()
    assert [(p.kind, p.qualified) for p in components if not p.builtin] == [
        ("encoder", "genmod-b/a"),
        ("encoder", "genmod-a/z"),
        ("encoder", "genmod-b/z"),
        ("prior", "genmod-b/b"),
    ]
    kinds = [list(KINDS).index(p.kind) for p in components]
    assert kinds == sorted(kinds)
    encoders = [p.builtin for p in components if p.kind == "encoder"]
    assert encoders == sorted(encoders, reverse=True)


def test_unknown_name(site):
    site.plugin(
        "genmod-vq", '"encoder", "vector", "x:Y", aliases=("quantised",)', '"posterior", "lone", "x:Y"'
    )
    site.add("genmod-broken", "raise ImportError")
    registry = Registry()
    with pytest.raises(UnknownComponentError, match="there is no encoder 'vectro'") as raised:
        registry.find("encoder", "vectro")
    assert raised.value.exit_code == 2
    hint = raised.value.hint.splitlines()
    assert hint[0] == "did you mean vector?"
    assert hint[1].startswith("the encoders are: ")
    assert {"conv", "mlp", "vector"} <= set(hint[1].partition(": ")[2].split(", "))
    assert hint[2] == "1 plugin failed to load, see `genmod plugins`"
    with pytest.raises(UnknownComponentError, match="did you mean quantised"):
        registry.find("encoder", "Quantized")
    with pytest.raises(UnknownComponentError, match="did you mean mlp"):
        registry.find("encoder", "MLP")
    with pytest.raises(UnknownComponentError, match="name of another kind of component: posterior"):
        registry.find("encoder", "lone")


def test_unknown_name_where_plugins_are_left_out(site):
    site.plugin("genmod-a")
    site.plugin("genmod-b")
    with pytest.raises(UnknownComponentError, match="2 plugins are disabled"):
        Registry(disabled=["genmod-a", "genmod-b"]).find("encoder", "vq")


def test_long_names_are_cut_and_quick():
    with pytest.raises(UnknownComponentError) as raised:
        Registry(third_party=False).find("encoder", "x" * 1_000_000)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("kind", ["encoders", "Encoder", "", "x" * 1_000_000])
def test_unknown_kind(kind):
    registry = Registry(third_party=False)
    for ask in (registry.components, registry.names, lambda kind: registry.find(kind, "mlp")):
        with pytest.raises(UsageError, match="the kinds are: model, encoder, ") as raised:
            ask(kind)
        assert ("did you mean encoder" in raised.value.hint) == (kind.lower()[:7] == "encoder")


def test_distribution_that_is_not_installed():
    with pytest.raises(MissingPluginError, match="encoder 'vq' needs the plugin genmod-not-here") as raised:
        Registry().find("encoder", "Genmod_Not_Here/vq")
    first, second = raised.value.hint.splitlines()
    assert first.startswith("look at the package first")
    assert second == "pip install genmod-not-here"
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    "name",
    [
        "x --index-url=http://evil.example/vq",
        "-r/vq",
        "a;rm/vq",
        "/vq",
        "a/b/vq",
        "\x1b[2J/vq",
        "é/vq",
        "a\n/vq",
    ],
)
def test_no_pip_line_for_what_is_no_distribution(name):
    with pytest.raises(UsageError, match="no name of a distribution") as raised:
        Registry().find("encoder", name)
    assert "pip install" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_distribution_that_is_no_plugin():
    with pytest.raises(
        PluginError, match=r"cannot come from pluggy [\d.]+: it is no genmod plugin"
    ) as raised:
        Registry().find("encoder", "pluggy/vq")
    assert not isinstance(raised.value, MissingPluginError)


def test_distribution_without_that_component(site):
    site.plugin(
        "genmod-vq", '"encoder", "vq", "x:Y"', '"posterior", "lonely", "x:Y"', '"encoder", "mlp", "x:Y"'
    )
    with pytest.raises(UnknownComponentError, match="genmod-vq has no encoder 'vp'") as raised:
        Registry().find("encoder", "genmod-vq/vp")
    assert "its encoders are: genmod-vq/mlp, vq" in raised.value.hint
    with pytest.raises(UnknownComponentError, match="another kind of component: posterior"):
        Registry().find("encoder", "genmod-vq/lonely")
    with pytest.raises(UnknownComponentError) as raised:
        Registry().find("objective", "genmod-vq/geco")
    assert "another kind" not in raised.value.hint


def test_distribution_whose_plugin_gave_nothing(site):
    site.add("genmod-broken", "raise ImportError('libfoo.so')")
    site.add("genmod-next", "", group="genmod.v2")
    site.plugin("genmod-off", '"encoder", "vq", "x:Y"')
    registry = Registry(disabled=["genmod-off"])
    for name, match in [
        ("broken", "genmod-broken 1.0, whose plugin 'main' is broken: ImportError: libfoo.so"),
        ("next", "is incompatible: it is made for genmod.v2"),
        ("off", "is disabled: it is switched off by name"),
    ]:
        with pytest.raises(PluginError, match=match) as raised:
            registry.find("encoder", f"genmod-{name}/vq")
        assert raised.value.hint
        assert not isinstance(raised.value, MissingPluginError)


def test_requirements(site):
    site.plugin("genmod-vq", '"encoder", "vq", "x:Y"', '"encoder", "w", "x:Y"', version="2.0")
    site.plugin("genmod-unused", version="0.1")
    registry = Registry()
    used = [registry.find("encoder", name) for name in ("vq", "w", "mlp")]
    own = registry.find("encoder", "mlp").version
    assert registry.requirements(used) == [f"genmod-torch=={own}", "genmod-vq==2.0"]
    assert {"genmod-unused==0.1", "genmod-vq==2.0", f"genmod-torch=={own}"} <= set(registry.requirements())
    assert registry.requirements([]) == []
