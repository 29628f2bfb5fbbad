"""Hints can be followed: every command that the sources offer has the options that it is offered with."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from genmod.cli.app import COMMANDS, load_command

ROOT = Path(__file__).parents[2]
OFFERED = re.compile(r"\bgenmod (?:[a-z]+(?:-[a-z]+)?)\b(?:(?!: |, | \(|[;`\n)]|\bgenmod\b|…).)*")
GLOBAL = {
    "--debug",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "--offline",
    "--no-plugins",
    "--disable-plugin",
    "--plugin",
}


def texts():
    """Every text of the sources that is no docstring, with a word in place of each value; and where it is."""
    for folder in ("core", "plugins", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if "genmod " not in source:
                continue
            nodes = list(ast.walk(ast.parse(source)))
            within = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in nodes:
                if isinstance(node, ast.JoinedStr):
                    yield (
                        path,
                        "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values),
                    )
                elif (
                    isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within
                ):
                    yield path, node.value


def offered():
    """Command lines in these texts, without those of the help of commands, which another test parses."""
    for path, text in texts():
        for found in OFFERED.findall(text):
            yield f"{path.relative_to(ROOT)}: {found}", found


def wrong(line):
    """The options of a command line that its command does not have; None where it is no command line."""
    words = [word.rstrip(".,'\"") for word in line.split()]
    name = words[1]
    if name not in COMMANDS:
        return None
    known = {
        option
        for parameter in load_command(name).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    given = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
    return given - known - GLOBAL - {"-h", "--help"}


def test_commands_in_messages_have_their_options():
    lines = dict(offered())
    found = {where: wrong(line) for where, line in lines.items()}
    assert sum(each is not None for each in found.values()) > 60, "the search finds hardly any"
    assert {where: each for where, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("genmod train --resume", set()),
        ("genmod compare a b -o gaps.png", {"-o"}),
        ("genmod evaluate --metrics elbo", {"--metrics"}),
        ("genmod biuld --latent 2", None),
    ],
)
def test_the_search_finds_what_is_wrong(line, missing):
    assert wrong(line) == missing
    [found] = OFFERED.findall(f"do this: {line}; or that")
    assert shlex.split(found)[:2] == line.split()[:2]


def refusal(call, name):
    """What is said of a name: that options of its own are missing, such as the length of a step; else nothing, or all."""
    from genmod.errors import UsageError

    try:
        call(name)
    except UsageError as error:
        return "cannot be made" if "cannot be made" in error.message else error.message
    return ""


def test_names_that_are_offered_are_taken():
    """Of optimizers and schedules: none is private, none twice, and all are found again."""
    import torch
    from torch import nn

    from genmod.errors import UsageError
    from genmod.training.lr import LearningRate, make_optimizer

    parameters = [nn.Parameter(torch.zeros(2))]

    def names(call):
        with pytest.raises(UsageError) as caught:
            call("no-such-name")
        return caught.value.hint.removeprefix("one of: ").split(", ")

    def optimizer(name):
        return make_optimizer(name, parameters, 1e-3)

    def schedule(name):
        return LearningRate(0.1, name, {}, warmup=0, total=10)

    for call in (optimizer, schedule):
        offered = names(call)
        assert len(offered) == len(set(offered)) > 5
        assert not any(name.startswith("_") or "lrscheduler" in name for name in offered)
        for name in offered:
            assert refusal(call, name) in ("", "cannot be made"), name
