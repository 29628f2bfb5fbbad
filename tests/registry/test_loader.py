"""What becomes of plugins that misbehave in every way: each is a status, and the others still load."""

import sys
import threading
import time

import pytest

from genmod.errors import PluginError
from genmod.registry.loader import quiet
from genmod.registry.lookup import Registry, use_registry

HOOK = "from genmod.registry.component import Component, hookimpl\n@hookimpl\ndef genmod_components():\n"
GOOD = 'Component("encoder", "good", "x:Y")'


def status_of(distribution, **arguments):
    (status,) = [each for each in Registry(**arguments).plugins() if each.distribution == distribution]
    return status


def test_ok(site):
    site.plugin(
        "genmod-ok", '"encoder", "ok", "genmod_ok:Ok", summary="fine", aliases=("okay",)', version="3.1"
    )
    status = status_of("genmod-ok")
    assert (status.version, status.entry_point, status.status, status.reason) == ("3.1", "main", "ok", "")
    assert [component.name for component in status.components] == ["ok"]
    assert status.imports_heavy == ()


def test_nothing_to_contribute_is_ok(site):
    site.plugin("genmod-empty")
    assert status_of("genmod-empty").status == "ok"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise ImportError('two\\nlines')", "ImportError: two lines"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("import argparse; argparse.ArgumentParser().parse_args(['--bad'])", "SystemExit: 2"),
        ("raise ExceptionGroup('several', [ValueError()])", "ExceptionGroup: several"),
        ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", "Odd"),
        ("def f(): f()\nf()", "RecursionError"),
        ("", "it has no hook genmod_components"),
        ("def genmod_components(): return []", "it has no hook genmod_components"),
        (
            "from genmod.registry.component import hookimpl\n@hookimpl\ndef genmod_component(): return []",
            "genmod_component, which",
        ),
        (HOOK + "    return None", "returns None"),
        (HOOK + "    return 3", "TypeError: 'int' object is not iterable"),
        (HOOK + "    yield 'encoder'", "it yields 'encoder', which is no Component"),
        (HOOK + "    yield ('encoder', 'x', 'y:Z')", "which is no Component"),
        (HOOK + "    yield Component", "which is no Component"),
        (HOOK + f"    yield {GOOD}\n    raise KeyError('midway')", "KeyError: 'midway'"),
        (HOOK + f"    yield {GOOD}\n    raise SystemExit", "SystemExit"),
        (HOOK + f"    yield {GOOD}\n    yield {GOOD}", "it gives the encoder 'good' twice"),
        (
            HOOK + f"    yield {GOOD}\n    yield Component('encoder', 'b', 'x:Y', aliases=('good',))",
            "'good' twice",
        ),
        (HOOK + "    yield Component('encoder', 'b', 'x:Y', aliases=('c', 'c'))", "'c' twice"),
        (HOOK + "    yield Component('encoder', 'Bad Name', 'x:Y')", "ValueError: 'Bad Name'"),
        (HOOK + "    yield Component('encoder', 'b', 'no target')", "ValueError: target"),
        (HOOK + "    yield Component('encoder', 'b', 'x:Y', aliases='abc')", "'b' is 'abc', not a tuple"),
        (
            HOOK + "    yield Component('encoder', 'b', 'x:Y', requires=['numpy'])",
            "'b' is ['numpy'], not a tuple",
        ),
        (
            HOOK + "    yield Component('encoder', 'b', 'x:Y', requires=('--evil x',))",
            "not names of distributions",
        ),
        (HOOK + "    yield Component('encoder', 'b', 'x:Y', summary=None)", "summary"),
        (HOOK.replace("()", "(registry)") + "    yield", "Argument(s) {'registry'}"),
    ],
)
def test_broken(site, source, reason):
    site.add("genmod-broken", source)
    site.plugin("genmod-good", '"encoder", "good", "genmod_good:Good"')
    registry = Registry()
    status = {each.distribution: each for each in registry.plugins()}
    broken = status["genmod-broken"]
    assert broken.status == "broken"
    assert reason in broken.reason
    assert broken.hint
    assert broken.components == ()
    assert status["genmod-good"].status == "ok"
    assert registry.find("encoder", "good").distribution == "genmod-good"


def test_missing_entry_module_and_attribute(site):
    site.plugin("genmod-a", entry_points={"main": "genmod_nowhere"})
    site.plugin("genmod-b", entry_points={"main": "genmod_b:nothing"})
    site.plugin("genmod-c", entry_points={"main": "no way!"})
    site.metadata("genmod-d", "1.0", "[genmod.v1]\nno assignment\n")
    for name in ("a", "b", "c", "d"):
        assert status_of(f"genmod-{name}").status == "broken"
    assert "cannot be read" in status_of("genmod-d").reason


def test_plugin_object_instead_of_module(site):
    source = """
from genmod.registry.component import Component, hookimpl
class Plugin:
    @hookimpl
    def genmod_components(self):
        return [Component("encoder", "obj", "x:Y")]
plugin = Plugin()
"""
    site.add("genmod-object", source, entry_points={"main": "genmod_object:plugin"})
    assert status_of("genmod-object").components[0].name == "obj"


def test_plugin_that_says_what_to_do(site):
    site.add(
        "genmod-polite",
        "from genmod import errors\nraise errors.PluginError('needs a licence', hint='genmod-polite login')",
    )
    status = status_of("genmod-polite")
    assert (status.reason, status.hint) == ("needs a licence", "genmod-polite login")


def test_interruption_passes_and_leaves_no_trace(site):
    site.plugin(
        "genmod-once",
        '"encoder", "once", "x:Y"',
        before="import genmod_switch\nif genmod_switch.on: raise KeyboardInterrupt",
    )
    (site.path / "genmod_switch.py").write_text("on = True")
    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.plugins()
    import genmod_switch

    genmod_switch.on = False
    assert registry.find("encoder", "once").distribution == "genmod-once"


def test_two_entry_points_of_one_distribution(site):
    site.plugin(
        "genmod-two",
        '"encoder", "x", "x:Y"',
        entry_points={"a": "genmod_two", "b": "genmod_more", "c": "genmod_third"},
        genmod_more=HOOK + "    yield Component('encoder', 'y', 'x:Y', aliases=('x',))",
        genmod_third=HOOK + "    yield Component('encoder', 'y', 'x:Y')",
    )
    states = [each for each in Registry().plugins() if each.distribution == "genmod-two"]
    assert [(each.entry_point, each.status) for each in states] == [("a", "ok"), ("b", "broken"), ("c", "ok")]
    assert "'x' twice" in states[1].reason


def test_unknown_kind_is_left_out_singly(site):
    site.plugin("genmod-new", '"hologram", "h", "x:Y"', '"encoder", "e", "x:Y"')
    site.plugin("genmod-newer", '"hologram", "h", "x:Y"')
    new, newer = status_of("genmod-new"), status_of("genmod-newer")
    assert (new.status, [c.name for c in new.components]) == ("ok", ["e"])
    assert "hologram 'h'" in new.reason
    assert new.hint == "pip install --upgrade genmod-torch"
    assert (newer.status, newer.components) == ("incompatible", ())


def test_other_contract_versions_are_not_imported(site):
    site.add("genmod-next", "raise RuntimeError('imported')", group="genmod.v2")
    site.add("genmod-past", "raise RuntimeError('imported')", group="genmod.v0")
    upcoming, past = status_of("genmod-next", strict=True), status_of("genmod-past", strict=True)
    assert (upcoming.status, upcoming.hint) == ("incompatible", "pip install --upgrade genmod-torch")
    assert "genmod.v2" in upcoming.reason
    assert (past.status, past.hint) == ("incompatible", "pip install --upgrade genmod-past")


def test_stdout_goes_to_stderr(site, capsys):
    site.plugin("genmod-noisy", '"encoder", "n", "x:Y"', before="print('noise at import')")
    registry = Registry()
    registry.plugins()
    print("data")  # noqa: T201
    out, err = capsys.readouterr()
    assert out == "data\n"
    assert "noise at import" in err


def test_load_time_is_measured(site, monkeypatch):
    """By a clock that only sleep moves: a busy machine may take any time."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    site.plugin("genmod-slow", before="import time; time.sleep(0.25)")
    site.plugin("genmod-swift")
    assert status_of("genmod-slow").load_ms == 250
    assert status_of("genmod-swift").load_ms == 0


def test_heavy_imports_are_told_by_plugin(site, python):
    (site.path / "torch.py").write_text("import numpy")
    (site.path / "numpy.py").write_text("")
    site.plugin("genmod-a-light")
    site.plugin("genmod-b-heavy", before="import torch")
    site.plugin("genmod-c-second", before="import torch")
    site.add("genmod-d-fails", "import pydantic\nraise ImportError")
    (site.path / "pydantic.py").write_text("")
    code = """
import json
from genmod.registry.lookup import Registry
print(json.dumps({s.distribution: [s.status, s.imports_heavy] for s in Registry().plugins()}))
"""
    states = python("-c", code)
    assert states["genmod-torch"] == ["ok", []]
    assert states["genmod-a-light"] == ["ok", []]
    assert states["genmod-b-heavy"] == ["ok", ["torch", "numpy"]]
    assert states["genmod-c-second"] == ["ok", []]
    assert states["genmod-d-fails"] == ["broken", ["pydantic"]]


def test_strict_lets_the_original_error_through(site):
    site.add("genmod-broken", "raise ZeroDivisionError('mine')")
    with pytest.raises(ZeroDivisionError, match="mine"):
        Registry(strict=True).plugins()
    with pytest.raises(ZeroDivisionError, match="mine"):
        Registry.from_environment({"GENMOD_STRICT_PLUGINS": "1"}).plugins()
    assert status_of("genmod-broken").status == "broken"


def test_strict_does_not_mistake_an_exit_for_success(site):
    site.add("genmod-exit", "raise SystemExit(0)")
    with pytest.raises(PluginError, match=r"genmod-exit 1\.0 ends the program") as raised:
        Registry(strict=True).plugins()
    assert isinstance(raised.value.__cause__, SystemExit)


def test_each_plugin_is_loaded_once(site):
    site.add(
        "genmod-count",
        "import genmod_tally\n" + HOOK + "    genmod_tally.calls += 1\n    return []",
        genmod_tally="calls = 0",
    )
    registry = Registry()
    for _ in range(3):
        registry.plugins()
        registry.components()
    import genmod_tally

    assert genmod_tally.calls == 1


def test_broken_plugin_is_loaded_once(site):
    site.add(
        "genmod-count",
        "import genmod_tally\ngenmod_tally.calls += 1\nraise ImportError",
        genmod_tally="calls = 0",
    )
    registry = Registry()
    registry.plugins()
    registry.components()
    import genmod_tally

    assert genmod_tally.calls == 1


def test_plugin_that_asks_for_components_while_it_is_loaded(site):
    site.plugin("genmod-a", '"encoder", "a", "x:Y"')
    source = """
from genmod.registry.component import Component, hookimpl
from genmod.registry.lookup import current_registry
@hookimpl
def genmod_components():
    seen = [p.name for p in current_registry().components("encoder") if not p.builtin]
    yield Component("encoder", "-".join(["b", *seen]), "x:Y")
"""
    site.add("genmod-b", source)
    with use_registry(Registry()) as registry:
        assert [p.name for p in registry.components("encoder") if not p.builtin] == ["a", "b-a"]


def test_plugins_cannot_wrap_one_another(site):
    site.plugin("genmod-a", '"encoder", "a", "x:Y"')
    site.add(
        "genmod-b",
        HOOK.replace("@hookimpl", "@hookimpl(wrapper=True)") + "    yield\n    return []",
    )
    states = {each.distribution: each for each in Registry().plugins()}
    assert [c.name for c in states["genmod-a"].components] == ["a"]
    assert states["genmod-b"].status == "broken"


def test_threads_load_a_plugin_once_and_see_all_of_it(site, capsys):
    site.add(
        "genmod-count",
        "import time, genmod_tally\ntime.sleep(0.05)\ngenmod_tally.calls += 1\n" + HOOK + f"    yield {GOOD}",
        genmod_tally="calls = 0",
    )
    registry, seen = Registry(), []
    threads = [
        threading.Thread(target=lambda: seen.append(registry.find("encoder", "good").name)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["good"] * 8
    print("data")  # noqa: T201
    assert capsys.readouterr().out == "data\n"
    import genmod_tally

    assert genmod_tally.calls == 1


def test_stdout_is_back_when_threads_overlap():
    before, inside = sys.stdout, threading.Event()

    def first():
        with quiet():
            inside.set()
            time.sleep(0.05)

    def second():
        inside.wait()
        with quiet():
            time.sleep(0.1)

    threads = [threading.Thread(target=function) for function in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before
