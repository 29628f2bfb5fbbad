"""Tables, JSON, colours: what is printed where."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from genmod.cli import _tell_windows_of_colours, console
from genmod.cli.columns import cells


@pytest.fixture(autouse=True)
def _plain_settings(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    console.configure(console.Settings())
    yield
    console.configure(console.Settings())


class Terminal(io.StringIO):
    """A stream that people watch."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Call it to make both streams a terminal; pytest sets them anew before the test."""

    def connect():
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stderr", Terminal())

    return connect


def test_table_off_a_terminal_is_tsv_that_keeps_its_shape(capsys):
    console.print_table(["a", "b"], [("x" * 500, 1), ("tab\tnew\nline \x1b[31mred", None)])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows == [["a", "b"], ["x" * 500, "1"], ["tab new line  [31mred", "None"]]


def test_table_on_a_terminal_is_aligned_and_whole(terminal, monkeypatch):
    terminal()
    monkeypatch.setenv("COLUMNS", "30")
    console.configure(console.Settings(color="never"))
    console.print_table(
        ["name", "empty", "text"], [("one", "", "[bold]" + "y" * 60), ("three", "", "\x1b[2J")]
    )
    out = sys.stdout.getvalue()
    assert "\x1b" not in out
    assert "\t" not in out
    assert "empty" not in out
    assert out.replace("\n", "").replace(" ", "").count("y") == 60
    assert "[bold]" in out


@pytest.mark.parametrize(
    ("environ", "option", "wanted"),
    [
        ({}, "auto", True),
        ({"NO_COLOR": "1"}, "auto", False),
        ({"NO_COLOR": ""}, "auto", True),
        ({"TERM": "dumb"}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({}, "never", False),
    ],
)
def test_colours_on_a_terminal(terminal, monkeypatch, environ, option, wanted):
    terminal()
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    console.configure(console.Settings(color=option))
    assert console.colored(sys.stderr) is wanted


def test_notes_have_no_control_characters_of_the_values_that_they_name(capsys):
    """The file of settings of a project may be a stranger's, and its values are named."""
    console.configure(console.Settings(verbose=True))
    for say in (console.note, console.detail):
        say("settings from genmod.toml: device \x1b[2J\r\x9b1m\ncpu\tx")
        assert capsys.readouterr().err == "settings from genmod.toml: device  [2J 1m\ncpu\tx\n"


def test_consoles_of_windows_are_told_of_colours(monkeypatch):
    told = []
    module = SimpleNamespace(just_fix_windows_console=lambda: told.append(True))
    monkeypatch.setitem(sys.modules, "colorama", module)
    _tell_windows_of_colours()
    assert told == [True] * (sys.platform == "win32")
    monkeypatch.setattr(sys, "platform", "win32")
    _tell_windows_of_colours()
    assert told[-1:] == [True]


@pytest.mark.parametrize("width", [20, 26, 40])
def test_sentences_are_no_wider_than_a_narrow_terminal(terminal, monkeypatch, width):
    terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    console.configure(console.Settings(color="never"))
    console.error(
        "模型 模型模 编码器 模型 is not one of: conv, mlp, resnet", "choose one of these, or 编码器"
    )
    lines = sys.stderr.getvalue().splitlines()
    assert max(map(cells, lines)) <= width
    assert " ".join(sys.stderr.getvalue().split()).startswith(
        "error: 模型 模型模 编码器 模型 is not one of: conv,"
    )


def test_a_command_within_a_sentence_stays_in_one_line(terminal, monkeypatch):
    terminal()
    monkeypatch.setenv("COLUMNS", "40")
    console.note("these weights are still random, so first: genmod train model --steps 20, and then look")
    assert "genmod train model --steps 20," in sys.stderr.getvalue()


def test_colours_off_a_terminal(monkeypatch, capsys):
    assert not console.colored(sys.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert console.colored(sys.stderr)
    # Colours may be wanted in a log; redrawn lines are not.
    assert not console.animated()


def test_animation(terminal, monkeypatch):
    terminal()
    assert console.animated()
    console.configure(console.Settings(quiet=True))
    assert not console.animated()
    console.configure(console.Settings())
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert not console.animated(), "in a cell of a notebook"
    monkeypatch.delenv("JPY_PARENT_PID")
    assert console.animated()
    monkeypatch.setenv("TERM", "dumb")
    assert not console.animated()


def test_quiet_and_verbose(capsys):
    def said():
        for speak in (console.detail, console.note, console.warning, console.error):
            speak(speak.__name__)
        out, err = capsys.readouterr()
        assert out == ""
        return err.splitlines()

    assert said() == ["note", "warning: warning", "error: error"]
    console.configure(console.Settings(quiet=True))
    assert said() == ["error: error"]
    console.configure(console.Settings(verbose=True))
    assert said() == ["detail", "note", "warning: warning", "error: error"]


def test_error_is_coloured_where_colours_are(terminal):
    terminal()
    console.error("bad \x1b[2J", "type this")
    err = sys.stderr.getvalue()
    assert err.startswith("\x1b[1;31merror:\x1b[0m bad ")
    assert "[2J" in err
    assert "\x1b[2J" not in err


def test_json_has_no_nan(capsys):
    console.print_json({"a": [float("nan"), 1.5, float("inf")], "β": ("x", None)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5, None], "β": ["x", None]}


def test_names_do_not_turn_the_direction_of_a_text(capsys):
    name = "rm \u202egnp.a\u2069 \u2028\x9b1m"
    console.print_text(name)
    console.print_table(["name"], [[name]])
    console.error(name, name)
    console.print_json({"name": name})
    out, err = capsys.readouterr()
    assert not set("\u202e\u2069\u2028\x9b") & set(out + err)
    assert json.loads(out[out.index("{") :]) == {"name": name}
