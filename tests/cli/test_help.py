"""Help, global options and completion."""

import shlex

import pytest

from genmod.cli.app import COMMANDS, global_options_first, load_command

OWN = ("build", "list", "show", "plugins", "info")


def examples(name):
    """The command lines under ``Examples:`` in a command's help, as lists of words."""
    _, _, rest = load_command(name).help.partition("Examples:\n")
    lines = [line.strip() for line in rest.partition("\n\n")[0].splitlines()]
    for text in lines:
        line = shlex.split(text)
        while "&&" in line:
            yield line[: line.index("&&")]
            line = line[line.index("&&") + 1 :]
        yield line[: line.index(">")] if ">" in line else line


def test_first_screen(genmod):
    done = genmod("--help")
    assert (done.code, done.err) == (0, "")
    assert "Quick start:\n    genmod build --encoder conv --prior normal\n    genmod train\n" in done.out
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name:<13}{summary}" in done.out
    assert genmod("-h").out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(genmod, name):
    done = genmod(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert load_command(name).help.splitlines()[0] == COMMANDS[name][1]
    found = list(examples(name))
    assert 2 <= len(found) <= 6
    # They are printed as they are written, one in a line.
    for line in load_command(name).help.partition("Examples:\n")[2].partition("\n\n")[0].splitlines():
        assert f"  {line}\n" in done.out + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_parsed(name):
    for program, command, *arguments in examples(name):
        assert program == "genmod"
        load_command(command).make_context(command, arguments)


@pytest.mark.parametrize("name", OWN)
def test_examples_run(genmod, name):
    for _, *arguments in examples(name):
        # It reads a folder that another library has written.
        if "--from" in arguments:
            continue
        done = genmod(*arguments)
        assert done.code == 0, done.err
        assert done.out


def test_version_is_one_line(genmod):
    done = genmod("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    assert done.out.startswith("genmod 0.")
    assert ", Python 3." in done.out
    assert ", torch " in done.out
    assert genmod("build", "--version").out == done.out


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("list -q encoder", "-q list encoder"),
        ("list --color never", "--color never list"),
        ("list --color=never", "--color=never list"),
        ("plugins --disable-plugin a --disable-plugin b", "--disable-plugin a --disable-plugin b plugins"),
        ("build -- -q", "build -- -q"),
        ("build --disable-plugin", "--disable-plugin build"),
        ("build -o out --debug", "--debug build -o out"),
    ],
)
def test_global_options_stand_anywhere(given, wanted):
    assert global_options_first(given.split()) == wanted.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("genmod bu", ["build"]),
        ("genmod build --enco", ["--encoder"]),
        ("genmod build --encoder c", ["conv", "conv-map"]),
        ("genmod build --prior no", ["none", "normal"]),
        ("genmod build beta-v", ["beta-vae"]),
        ("genmod list rec", ["recipe"]),
        ("genmod show dec", ["decoder"]),
        ("genmod show recipe va", ["vae", "vae-gan", "vamp-vae"]),
        ("genmod show nothing v", []),
        ("genmod --no-plugins show recipe va", ["vae", "vae-gan", "vamp-vae"]),
    ],
)
def test_completion(genmod, monkeypatch, words, wanted):
    monkeypatch.setenv("_GENMOD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - (not words.endswith(" "))))
    done = genmod()
    assert (done.out.split(), done.err) == (wanted, "")


def test_completion_has_names_of_plugins_and_survives_broken_ones(genmod, plant, monkeypatch):
    plant("genmod-other", '"encoder", "wide", "genmod_other:Wide", summary="$(touch pwned) `x`"')
    plant("genmod-bad", before="raise SystemExit('stop')")
    monkeypatch.setenv("_GENMOD_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "genmod build --encoder w")
    done = genmod()
    assert '"wide":' in done.out
    assert " $(" not in done.out
    assert '"$(' not in done.out
    assert done.err == ""
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "genmod --disable-plugin genmod-other build --encoder w")
    assert "wide" not in genmod().out
