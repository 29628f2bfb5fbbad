"""Which entry points are found, in what order, and that none is imported for it."""

import importlib.metadata
import sys

from genmod.errors import PluginError
from genmod.registry.discovery import find_plugins, own_plugins
from genmod.system.installed import installed, normalised


def found(*distributions):
    return [
        (
            each.distribution,
            each.version,
            getattr(each.entry_point, "name", None),
            getattr(each.entry_point, "group", ""),
        )
        for each in find_plugins()
        if each.distribution in distributions
    ]


def test_sorted_by_distribution_and_entry_point_whatever_the_order_on_disk(site):
    for name in ("genmod-zeta", "genmod-alpha", "genmod-mid"):
        site.plugin(name, entry_points={"b": "x", "a": "y"})
    names = ("genmod-alpha", "genmod-mid", "genmod-zeta")
    assert found(*names) == [(name, "1.0", point, "genmod.v1") for name in names for point in ("a", "b")]


def test_nothing_is_imported(site):
    site.add("genmod-bomb", "raise RuntimeError('imported')")
    assert found("genmod-bomb") == [("genmod-bomb", "1.0", "main", "genmod.v1")]
    assert "genmod_bomb" not in sys.modules


def test_names_are_normalised(site):
    assert normalised(" Genmod__V.Q ") == "genmod-v-q"
    site.plugin("Genmod_VQ")
    assert found("genmod-vq") == [("genmod-vq", "1.0", "main", "genmod.v1")]


def test_same_entry_point_name_in_two_distributions(site):
    site.plugin("genmod-one", entry_points={"plugin": "genmod_one"})
    site.plugin("genmod-two", entry_points={"plugin": "genmod_two"})
    assert [each[0] for each in found("genmod-one", "genmod-two")] == ["genmod-one", "genmod-two"]


def test_distribution_on_the_path_twice_is_the_copy_python_imports_from(site, other_site, monkeypatch):
    other_site.plugin("genmod-vq", version="2.0", entry_points={"main": "genmod_vq", "extra": "genmod_vq"})
    monkeypatch.syspath_prepend(str(other_site.path))
    site.plugin("genmod-vq", version="1.0")
    assert found("genmod-vq") == [
        ("genmod-vq", "2.0", "extra", "genmod.v1"),
        ("genmod-vq", "2.0", "main", "genmod.v1"),
    ]


def test_shadowed_copy_does_not_count_where_the_first_is_no_plugin(site, other_site, monkeypatch):
    other_site.metadata("genmod-vq", "0.1", "[console_scripts]\nvq = genmod_vq:main\n")
    monkeypatch.syspath_prepend(str(other_site.path))
    site.plugin("genmod-vq")
    assert found("genmod-vq") == []


def test_same_folder_on_the_path_twice(site, monkeypatch):
    site.plugin("genmod-vq")
    monkeypatch.setattr(sys, "path", [str(site.path), *sys.path])
    assert len(found("genmod-vq")) == 1


def test_other_groups(site):
    site.plugin("genmod-next", group="genmod.v2")
    site.metadata("genmod-both", "1.0", "[genmod.v2]\nnew = x\n[genmod.v1]\nold = x\n")
    site.metadata("not-ours", "1.0", "[genmod.view]\nx = y\n[my.genmod.v1]\nx = y\n")
    assert found("genmod-next") == [("genmod-next", "1.0", "main", "genmod.v2")]
    assert found("genmod-both") == [("genmod-both", "1.0", "old", "genmod.v1")]
    assert found("not-ours") == []


def test_malformed_metadata_is_found_with_its_error_and_hides_no_other(site):
    site.metadata("genmod-a-malformed", "1.0", "[genmod.v1]\nthis is no assignment\n")
    nameless = site.metadata("genmod-b-nameless", "1.0", "[genmod.v1]\nmain = x\n")
    (nameless / "METADATA").unlink()
    no_text = site.metadata("genmod-c-binary", "1.0", "")
    (no_text / "entry_points.txt").write_bytes(b"[genmod.v1]\nmain = \xff\xfe\n")
    site.plugin("genmod-d-good")
    (malformed,) = [each for each in find_plugins() if each.distribution == "genmod-a-malformed"]
    assert isinstance(malformed.entry_point, Exception)
    for folder in (nameless, no_text):
        (unreadable,) = [each for each in find_plugins() if each.distribution == str(folder)]
        assert isinstance(unreadable.entry_point, PluginError)
        assert str(folder) in unreadable.entry_point.hint
    assert found("genmod-d-good") == [("genmod-d-good", "1.0", "main", "genmod.v1")]


def test_own_distribution_is_read_alone(site, monkeypatch):
    site.plugin("genmod-vq")
    all_of = importlib.metadata.distributions
    monkeypatch.setattr(
        importlib.metadata, "distributions", lambda **which: all_of(**which) if which else pytest_fail()
    )
    assert [(each.distribution, each.entry_point.value) for each in own_plugins()] == [
        ("genmod-torch", "genmod.plugins")
    ]


def pytest_fail():
    raise AssertionError("all distributions were looked at")


def test_own_distribution_is_no_third_party():
    assert found("genmod-torch") == []


def test_installed(site):
    site.plugin("Genmod.VQ")
    assert installed("genmod-vq").version == "1.0"
    assert installed("genmod-no-such-thing") is None
