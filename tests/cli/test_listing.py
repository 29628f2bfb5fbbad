"""``genmod list`` and ``genmod plugins``."""

import json

import pytest

from genmod.registry.component import KINDS

WRONG = '"encoder", "wide", "genmod_other:Wide", summary="wider\\tthan\\rothers", aliases=("broad",)'


def test_list_is_complete_and_whole_off_a_terminal(genmod, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    done = genmod("list")
    assert (done.code, done.err) == (0, "")
    header, *rows = [line.split("\t") for line in done.out.splitlines()]
    assert header == ["kind", "name", "provider", "version", "summary", "aliases"]
    assert {len(row) for row in rows} == {6}
    kinds = [row[0] for row in rows]
    assert kinds == sorted(kinds, key=list(KINDS).index)
    assert ["recipe", "vae"] in [row[:2] for row in rows]
    assert max(len(row[4]) for row in rows) > 40


def test_list_of_a_kind(genmod):
    document = json.loads(genmod("list", "encoder", "--json").out)
    names = [component["name"] for component in document["components"]]
    assert names == sorted(names)
    assert {"conv", "mlp"} <= set(names)
    assert {component["kind"] for component in document["components"]} == {"encoder"}


def test_list_of_an_unknown_kind(genmod):
    done = genmod("list", "encodr")
    assert (done.code, done.out) == (2, "")
    assert "did you mean encoder" in done.err


def test_list_shows_plugins_and_keeps_to_one_line_each(genmod, plant):
    plant("genmod-other", WRONG, '"encoder", "mlp", "genmod_other:Mlp"')
    rows = [line.split("\t") for line in genmod("list", "encoder").out.splitlines()]
    assert ["encoder", "wide", "genmod-other", "1.5", "wider than others", "broad"] in rows
    # The bare name means the built-in one.
    names = [row[1] for row in rows[1:]]
    assert "mlp" in names
    assert names[-2:] == ["genmod-other/mlp", "wide"]


def test_broken_plugin_stops_nothing_and_is_mentioned(genmod, plant):
    plant("genmod-bad", before="raise ImportError('no such thing')")
    done = genmod("list", "encoder")
    assert done.code == 0
    assert done.err == "warning: 1 plugin failed to load, see: genmod plugins\n"
    assert genmod("list", "encoder", "--quiet").err == ""
    assert json.loads(genmod("list", "--json").out)["components"]


def test_plugins_say_why_and_the_way_out(genmod, plant):
    plant("genmod-bad", before="raise ImportError('no such thing')")
    plant("genmod-good", '"encoder", "wide", "genmod_good:Wide"', before="print('hello')")
    done = genmod("plugins")
    header, own, bad, good = [line.split("\t") for line in done.out.splitlines()]
    assert header[:4] == ["plugin", "version", "status", "components"]
    assert own[:3:2] == ["genmod-torch", "ok"]
    assert bad[:4] == ["genmod-bad", "1.5", "broken", "0"]
    assert "ImportError: no such thing" in bad[6]
    assert "pip install --upgrade genmod-bad" in bad[7]
    assert good[:4] == ["genmod-good", "1.5", "ok", "1"]
    assert float(good[4]) >= 0
    assert done.err == "hello\n"


def test_plugins_as_json(genmod, plant):
    plant("genmod-good", '"encoder", "wide", "genmod_good:Wide"', before="import colorsys")
    plugins = json.loads(genmod("plugins", "--json").out)["plugins"]
    good = next(plugin for plugin in plugins if plugin["distribution"] == "genmod-good")
    assert (good["status"], good["version"]) == ("ok", "1.5")
    assert [component["name"] for component in good["components"]] == ["wide"]


@pytest.mark.parametrize("option", [["--no-plugins"], ["--disable-plugin", "genmod-good"]])
@pytest.mark.parametrize("front", [True, False])
def test_disabled_plugin_is_listed_but_never_imported(genmod, plant, option, front):
    plant("genmod-good", before="raise SystemExit('imported')")
    done = genmod(*option, "plugins") if front else genmod("plugins", *option)
    row = done.out.splitlines()[-1].split("\t")
    assert row[:3] == ["genmod-good", "1.5", "disabled"]
    assert option[0] in row[7]


def test_requirements(genmod, plant):
    plant("genmod-good", '"encoder", "wide", "genmod_good:Wide"')
    lines = genmod("plugins", "--requirements").out.splitlines()
    assert "genmod-good==1.5" in lines
    assert json.loads(genmod("plugins", "--requirements", "--json").out) == {"requirements": lines}


def test_a_name_that_means_another_component_is_told(genmod, plant):
    plant(
        "genmod-other",
        '"encoder", "mlp", "genmod_other:Mlp"',
        '"encoder", "wide", "genmod_other:Wide", aliases=("vit",)',
        '"encoder", "own", "genmod_other:Own"',
        '"decoder", "mlp", "genmod_other:OfAnotherKind"',
    )
    said = "encoder 'mlp' of genmod-other is also a name of genmod-torch/mlp, which it means"
    assert genmod("list", "encoder").err.splitlines() == [
        f"warning: {said}: write genmod-other/mlp",
        "warning: encoder 'vit' of genmod-other is also a name of genmod-torch/transformer, which it means: write "
        "genmod-other/vit",
    ]
    assert genmod("list", "decoder").err == ""
    row = genmod("plugins").out.splitlines()[-1].split("\t")
    assert (row[0], row[2]) == ("genmod-other", "ok")
    assert said in row[6]
    assert "write genmod-other/mlp; write genmod-other/vit" in row[7]
    plugins = json.loads(genmod("plugins", "--json").out)["plugins"]
    assert [each["name"] for each in plugins[-1]["clashes"]] == ["mlp", "vit"]
    assert [each["clashes"] for each in plugins[:-1]] == [[]] * (len(plugins) - 1)


def test_a_name_of_two_plugins_is_told(genmod, plant):
    plant("genmod-one", '"encoder", "wide", "genmod_one:Wide"')
    plant("genmod-two", '"encoder", "wide", "genmod_two:Wide"')
    assert genmod("list", "encoder").err.splitlines() == [
        "warning: encoder 'wide' of genmod-one is also a name of genmod-two/wide: write genmod-one/wide",
        "warning: encoder 'wide' of genmod-two is also a name of genmod-one/wide: write genmod-two/wide",
    ]
