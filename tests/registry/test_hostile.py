"""Plugins that go for the program itself: what they raise, print, close, move and spoof changes nothing for others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from genmod.errors import PluginError, UsageError
from genmod.registry.discovery import find_plugins
from genmod.registry.loader import cause
from genmod.registry.lookup import Registry

HOOK = "from genmod.registry.component import Component, hookimpl\n@hookimpl\ndef genmod_components():\n"
GOOD = HOOK + "    yield Component('encoder', 'fine', 'x:Y')\n"


def status_of(distribution):
    (status,) = [each for each in Registry().plugins() if each.distribution == distribution]
    return status


@pytest.mark.parametrize(
    "error",
    ["GeneratorExit", "type('Stop', (BaseException,), {})", "type('E', (Exception,), {'__str__': exit})"],
)
def test_whatever_it_raises_is_a_status(site, error):
    site.add("genmod-raises", f"raise {error}")
    site.add("genmod-target", f"class Y: pass\ndef __getattr__(name): raise {error}")
    site.plugin("genmod-good", '"encoder", "fine", "genmod_target:Nothing"')
    assert status_of("genmod-raises").status == "broken"
    with pytest.raises(PluginError, match="cannot be loaded"):
        Registry().find("encoder", "fine").load()
    if "Stop" in error:  # what is no Exception would end the program of an author, too
        with pytest.raises(PluginError, match="ends the program"):
            Registry(strict=True).plugins()


def test_ctrl_c_is_no_error_of_a_plugin():
    class Interrupted(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cause(Interrupted())


@pytest.mark.parametrize(
    "way", ["os.write(1, b'noise')", "os.system('echo noise')", "sys.__stdout__.write('noise')"]
)
def test_stdout_by_other_ways_goes_to_stderr(site, capfd, way):
    site.add("genmod-loud", f"import os, sys\n{way}\n{GOOD}")
    sys.__stdout__.write("ours")
    assert status_of("genmod-loud").status == "ok"
    os.write(1, b", after")
    out, err = capfd.readouterr()
    assert out == "ours, after"
    assert "noise" in err or "__stdout__" in way  # which is flushed later


@pytest.mark.parametrize("take", ["sys.{}.close()", "sys.{} = None", "del sys.{}"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_are_put_back(site, take, stream):
    """In a process of its own: this one needs its streams."""
    site.add("genmod-closes", f"import sys\n{take.format(stream)}\n")
    code = """
import sys
from genmod.registry.lookup import Registry
Registry().plugins()
print("out")
print("err", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site.path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


def test_current_folder_is_put_back(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site.add("genmod-moves", f"import os\nos.chdir('/')\n{GOOD}")
    assert status_of("genmod-moves").status == "ok"
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (HOOK + "    while True: yield Component('encoder', 'same', 'x:Y')", "more than 1,000 components"),
        (
            HOOK
            + "    c = Component('encoder', 'b', 'x:Y')\n    object.__setattr__(c, 'name', 7)\n    yield c",
            "7 is not a component name",
        ),
        (
            "from genmod.registry.component import Component, hookimpl\nclass Mine(Component):\n    __post_init__ = print\n"
            "@hookimpl\ndef genmod_components(): yield Mine('encoder', '../up', 'x:Y')",
            "'../up' is not a component name",
        ),
        (HOOK + "    yield Component('encoder', 'b', 'x:Y', summary='a' * 201)", "at most 200 characters"),
        ("class R:\n    def __repr__(self): exit()\n" + HOOK + "    yield R()", "SystemExit"),
    ],
)
def test_records_that_lie(site, source, reason):
    site.add("genmod-lies", source)
    status = status_of("genmod-lies")
    assert status.status == "broken"
    assert reason in status.reason


@pytest.mark.parametrize(
    "name", ["x; touch pwned", "--index-url=http://evil.example", "./mine.py", "a\x1b[2Jb"]
)
def test_names_that_no_distribution_may_have(site, name):
    site.add("genmod-x", "import genmod_was_imported_by_mistake")
    folder = site.path / "genmod_x-1.0.dist-info"
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (found,) = [each for each in find_plugins() if each.distribution == str(folder)]
    assert isinstance(found.entry_point, PluginError)
    (status,) = [each for each in Registry().plugins() if each.distribution == found.distribution]
    assert status.status == "broken"
    assert str(site.path) in status.hint
    assert "pip" not in status.hint
    lines = Registry().requirements()
    assert [line for line in lines if not line.startswith(("#", "genmod"))] == []
    assert all(line.isprintable() for line in lines)


def test_versions_that_pip_would_not_take_are_comments(site):
    site.plugin("genmod-x", '"encoder", "b", "x:Y"', version="1.0; rm -rf ~")
    assert "# genmod-x 1.0; rm -rf ~" in Registry().requirements()


def test_large_file_is_not_read(tmp_path):
    file = tmp_path / "huge.py"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UsageError, match="no Python file"):
        Registry(files=[file])


# Each misbehaviour at once, in a process of its own, and what becomes of commands that need none of them.

MARK = "import pathlib; pathlib.Path(__file__).with_suffix('.imported').touch()\n"
BAD = {
    "raises": ("raise ImportError('no')", "broken", "ImportError: no"),
    "exits": ("import sys; sys.exit(0)", "broken", "SystemExit: 0"),
    "prints": ("print('NOISE')\n" + HOOK + "    yield Component('encoder', 'loud', 'x:Y')", "ok", ""),
    "misspells": (HOOK.replace("components", "component") + "    return []", "broken", "which is no hook"),
    "yields": (HOOK + "    yield 'encoder'", "broken", "no Component"),
    "repeats": (GOOD + "    yield Component('encoder', 'fine', 'x:Y')", "broken", "'fine' twice"),
    "first": (HOOK + "    yield Component('encoder', 'both', 'x:Y')", "ok", ""),
    "second": (HOOK + "    yield Component('encoder', 'both', 'x:Y')", "ok", ""),
    "shadows": (HOOK + "    yield Component('encoder', 'mlp', 'x:Y')", "ok", ""),
    "hollow": (HOOK + "    yield Component('encoder', 'hollow', 'no_such_module:Y')", "ok", ""),
    "sleeps": ("import time; time.sleep(0.5)\n" + HOOK + "    yield from ()", "ok", ""),
    "newer": ("", "incompatible", "genmod.v2"),
    "twice": (HOOK + "    yield Component('encoder', 'twice', 'x:Y')", "ok", ""),
}


@pytest.fixture
def zoo(site, other_site, tmp_path, monkeypatch):
    """A function that runs a command where all of them are installed; gives exit code, stdout and stderr."""
    for name, (source, *_) in BAD.items():
        group = "genmod.v2" if name == "newer" else "genmod.v1"
        site.add(f"genmod-{name}", MARK + source, group=group, version="1.0")
    other_site.add("genmod-twice", MARK + BAD["twice"][0], version="0.9")
    path = os.pathsep.join([str(site.path), str(other_site.path)])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENMOD_", "PYTHON"))}

    def run(*arguments, **environ):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "genmod", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": path, **environ},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_zoo_of_plugins_stops_no_command(zoo, site):
    code, out, err = zoo("plugins", "--json")
    assert code == 0
    found = {row["distribution"].removeprefix("genmod-"): row for row in json.loads(out)["plugins"]}
    assert set(found) == {"torch", *BAD}
    for name, (_, status, reason) in BAD.items():
        assert found[name]["status"] == status, found[name]
        assert reason in found[name]["reason"]
        assert bool(found[name]["hint"]) == (status != "ok")
    assert found["twice"]["version"] == "1.0"
    assert found["sleeps"]["load_ms"] > 500
    assert "NOISE" in err
    assert not (site.path / "genmod_newer.imported").exists()

    code, out, err = zoo("list", "encoder", "--json")
    assert code == 0
    names = [row["name"] for row in json.loads(out)["components"]]
    assert {"mlp", "loud", "hollow", "twice", "genmod-shadows/mlp"} <= set(names)
    assert {"genmod-first/both", "genmod-second/both"} <= set(names)
    assert "both" not in names
    assert "6 plugins failed to load, see: genmod plugins" in err

    # What is named after all says what is wrong with it.
    for name, code, message in (
        ("both", 2, "write which: genmod-first/both or genmod-second/both"),
        ("genmod-raises/x", 3, "ImportError: no"),
        ("genmod-newer/x", 3, "genmod.v2"),
    ):
        done = zoo("show", "encoder", name)
        assert (done[0], done[1]) == (code, ""), done
        assert message in done[2]


@pytest.mark.slow
def test_a_component_of_the_zoo_that_cannot_be_loaded(zoo):
    code, out, err = zoo("show", "encoder", "hollow")
    assert (code, out) == (3, "")
    assert "No module named 'no_such_module'" in err


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        pytest.param(["build", "--encoder", "mlp", "--dry-run"], {}, marks=pytest.mark.slow),
        (["--no-plugins", "list"], {}),
        (["plugins"], {"GENMOD_PLUGINS": ""}),
        (["list", *(word for name in BAD for word in ("--disable-plugin", f"genmod-{name}"))], {}),
        (["list"], {"GENMOD_DISABLE_PLUGINS": ",".join(f"genmod-{name}" for name in BAD)}),
    ],
    ids=["built-in names", "--no-plugins", "GENMOD_PLUGINS", "--disable-plugin", "GENMOD_DISABLE_PLUGINS"],
)
def test_nothing_of_them_is_imported(zoo, site, arguments, environ):
    code, out, err = zoo(*arguments, **environ)
    assert (code, "NOISE" in err) == (0, False), err
    assert out
    assert list(site.path.glob("*.imported")) == []


@pytest.mark.parametrize(
    ("points", "status", "reason"),
    [
        (f"[genmod.v{'9' * 5000}]\na = x\n", "incompatible", "it is made for genmod.v999"),
        ("[genmod.v0]\na = x\n", "incompatible", "it is made for genmod.v0"),
        ("[genmod.v1]\na = !!x y;;\n", "broken", "'a' names no module: '!!x y;;'"),
        ("[genmod.v1]\na =\n", "broken", "'a' names no module: ''"),
        ("[genmod.v1]\na = x:y [z\n", "broken", "names no module"),
        ("[genmod.v1]\na = genmod.plugins\n", "broken", "names a module of genmod: genmod.plugins"),
        ("[console_scripts]\nfoo\n[genmod.v1]\na = x\n", "broken", "cannot be read"),
    ],
)
def test_bad_entry_points_stop_nothing_else(site, points, status, reason):
    site.metadata("genmod-bad", "1.0", points)
    site.plugin("genmod-good", '"encoder", "fine", "x:Y"')
    bad = status_of("genmod-bad")
    assert bad.status == status
    assert reason in bad.reason
    assert {"fine", "mlp"} <= set(Registry().names("encoder"))
    with pytest.raises(PluginError):
        Registry().find("encoder", "genmod-bad/x")
