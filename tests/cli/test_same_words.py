"""The same option means the same in every command, and what commands have in common has one name."""

import json

import pytest

from genmod.cli.app import COMMANDS, load_command

DRAWS = ("sample", "reconstruct", "interpolate", "traverse", "latents", "explore")
SAME = {
    "--json": "Print one JSON document",
    "--seed": "Seed of everything that is drawn at random",
    "--device": "auto, cpu, cuda, cuda:N or mps",
    "--data-root": "Folder with data files",
    "--split": "Which part of the ",
    "--number": "How many ",
    "--overwrite": "Replace ",
    "--dry-run": "",
    "--set": "",
    "--out": "",
    "--metric": "",
    "--draws": "",
    "--processes": "Processes that share ",
    "--from-prior": "",
    "--revision": "Branch",
    "--no-examples": "Nothing of the data in the ",
}
"""How the help of an option begins in all commands that have it; its type and its short name are one, too."""

DIFFERENT = {
    "--condition": "what a model is given, by name where it is built and by value where it is used",
    "--data": "any dataset of one that is built, another of the same shape in training, a name in the grid",
    "--posterior": "one in build, those of some rows in grid",
    "--prior": "one in build, those of some rows in grid",
    "--divergence": "one in build, those of some rows in grid",
    "--objective": "one in build, those of some rows in grid",
    "--format": "of what is written or printed: formats of other libraries, or of tables",
    "--from": "where weights or latents come from",
    "--steps": "of training, or of a walk",
}
"""Options whose values depend on the command, with the reason."""


def options():
    """The visible options of each command, by long name."""
    for command in COMMANDS:
        for parameter in load_command(command).params:
            if (
                parameter.param_type_name == "option"
                and not parameter.hidden
                and "--help" not in parameter.opts
            ):
                long = [name for name in parameter.opts if name.startswith("--")]
                yield command, long[0], parameter


def test_same_option_same_meaning():
    found = {}
    for command, name, option in options():
        found.setdefault(name, []).append((command, option))
    shared = {name: uses for name, uses in found.items() if len(uses) > 1}
    assert set(shared) == {*SAME, *DIFFERENT}
    for name, beginning in SAME.items():
        uses = shared[name]
        for command, option in uses:
            assert option.help.startswith(beginning), (name, command, option.help)
        shorts = {tuple(short for short in option.opts if not short.startswith("--")) for _, option in uses}
        assert len(shorts) == 1, name
        types = {option.type.name for _, option in uses} - ({"choice"} if name == "--split" else set())
        assert len({kind.replace(" range", "") for kind in types}) <= 1, (name, types)
        forms = {option.metavar for _, option in uses}
        if name not in ("--out", "--set"):
            assert len(forms) == 1, (name, forms)


def test_short_names_stand_for_one_option():
    names = {}
    for _, name, option in options():
        for short in option.opts:
            if len(short) == 2:
                names.setdefault(short, set()).add(name)
    assert {short: found for short, found in names.items() if len(found) > 1} == {"-o": {"--out", "--export"}}


def test_commands_that_draw_have_a_number_a_seed_and_a_device():
    found = {(command, short) for command, _, option in options() for short in option.opts}
    for command in DRAWS:
        for name in ("-n", "--seed", "--device", "--json"):
            assert (command, name) in found, command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_json(command):
    assert any("--json" in parameter.opts for parameter in load_command(command).params)


def test_old_names_still_work_and_are_not_shown(genmod):
    context = load_command("interpolate").make_context("interpolate", ["--rows", "3"])
    assert context.params["rows"] == 3
    assert "--rows" not in genmod("interpolate", "--help").out


QUICK = {
    "sample -n 3 -o s.npz": {"file": "s.npz", "number": 3, "temperature": 1.0, "drawn_from": "prior, normal"},
    "score -o s.csv --split test --draws 2": {"file": "s.csv", "rows": 250},
}
SLOW = {
    "sample -n 2": {"file": "model/samples/samples.png", "number": 2, "drawn_from": "prior, normal"},
    "reconstruct -n 2": {"file": "model/samples/reconstructions.png", "number": 2, "split": "test"},
    "interpolate -n 1 --steps 3": {"number": 1, "steps": 3},
    "traverse --dims 1 --steps 3": {"dimensions": [1], "steps": 3},
    "encode -o c.npz --split test": {"file": "c.npz", "rows": 250, "arrays": {"means": [2]}},
    "encode -o codes --split test": {"file": "codes"},
    "explore --export p.html -n 60": {"file": "p.html"},
    "plugin new rows --kind encoder": {"file": "genmod-rows"},
}


@pytest.mark.parametrize("wanted", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_documents(genmod, wanted):
    """One document each, and nothing beside it on stdout."""
    small = ["--encoder", "mlp", "-s", "encoder.hidden=4", "--latent", "2"]
    assert genmod("build", *small).code == 0
    for line, document in wanted.items():
        done = genmod(*line.split(), "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert {name: found[name] for name in document} == document, line
        assert "next: " not in done.err
        if not line.startswith("plugin"):
            assert found["seed"] == 0


@pytest.mark.slow
def test_document_of_a_comparison(genmod):
    assert genmod("build", "--encoder", "mlp", "-s", "encoder.hidden=4", "--latent", "2").code == 0
    found = json.loads(genmod("compare", "model", "model", "--json").out)
    assert set(found) == {"models", "differences"}
    done = genmod("compare", "model", "--json", "--format", "latex")
    assert done.code == 2
