"""The last line of each command says what to type next, and that can be typed."""

import shlex
import signal
from glob import glob
from pathlib import Path

import pytest

from genmod.cli.app import COMMANDS, load_command
from genmod.cli.following import NEXT, next_line, resume_line, say_to_resume

LINES = [
    ("build", "genmod train"),
    ("build -o 'a b'", "genmod train 'a b'"),
    ("build --from diffusers:vae/ -o taken", "genmod evaluate taken"),
    ("build --dry-run", ""),
    ("train", "genmod explore"),
    ("train a", "genmod explore a"),
    ("train flow", "genmod sample flow"),
    ("train a model", "genmod compare a model"),
    ("train --dry-run", ""),
    ("fit-sampler a", "genmod sample a"),
    ("export a --format diffusers -o out", "genmod show format diffusers"),
    ("push a me/digits", "genmod pull me/digits"),
    ("push a me/digits --dry-run", ""),
    ("pull me/digits", "genmod sample digits"),
    ("pull me/digits -o 'a b'", "genmod sample 'a b'"),
    ("sample", "genmod reconstruct"),
    ("sample flow", "genmod evaluate flow"),
    ("reconstruct a", "genmod interpolate a"),
    ("interpolate a", "genmod traverse a"),
    ("traverse a", "genmod latents a"),
    ("encode a -o codes.npz", "genmod latents a"),
    ("encode a -o folder", "genmod build --data folder -o latents"),
    (
        "encode a --with scales -o folder",
        "genmod build --data folder -o latents, or genmod fit-sampler a --encoded folder",
    ),
    ("score a -o scores.csv", "genmod evaluate a"),
    ("impute a -o filled.npz", "genmod evaluate a"),
    ("latents a", "genmod explore a"),
    ("explore a", "genmod explore a --export latent-space.html"),
    ("explore a --export p.html", "python -m webbrowser p.html"),
    ("evaluate a", "genmod report a"),
    ("evaluate a flow", "genmod compare a flow"),
    ("sweep -s latent=2,4 -o 's w'", "genmod compare 's w'/*"),
    ("sweep -s latent=2,4 --dry-run", ""),
    ("compare a model", "genmod report a model"),
    ("plot", "genmod report"),
    ("report", "python -m webbrowser model/report.html"),
    ("report a model", "python -m webbrowser report.html"),
    ("report a -o page.html", "python -m webbrowser page.html"),
    ("reproduce iwae", "genmod list reproduction"),
    ("selftest", "genmod build -o model-2"),
    ("list", "genmod show recipe vae"),
    ("list encoder", "genmod show encoder autoencoder-2d"),
    ("show encoder conv", ""),
    ("grid", "genmod build -o model-2"),
    ("grid --prior vamp", "genmod show prior vamp"),
    ("plugins", "genmod list"),
    ("check genmod-torch", "genmod plugins"),
    ("info", "genmod selftest"),
    ("config", "genmod train --dry-run"),
]


def test_each_command_has_a_line():
    assert set(NEXT) == set(COMMANDS)
    # These two use what the command gives back, and are tested where it is run.
    assert {line.split()[0] for line, _ in LINES} == set(COMMANDS) - {"plugin", "rerun"}


def after_train(words):
    """What training gives back: a report of each model."""
    directories = [word for word in words if not word.startswith("-")] or ["model"]
    drawn = {"flow": ["samples.png"]}
    return [
        {"directory": each, "pictures": drawn.get(each, ["samples.png", "reconstructions.png"])}
        for each in directories
        if "--dry-run" not in words
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two models with latents and one without, and a folder."""
    from genmod import build, save

    monkeypatch.chdir(tmp_path)
    for name in ("a", "model"):
        save(build(encoder={"name": "mlp", "hidden": [4]}, latent=2), tmp_path / name)
    save(build(model="flow"), tmp_path / "flow")
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_the_line_is_that_of_the_table_and_can_be_parsed(folder):
    for line, wanted in LINES:
        name, *words = shlex.split(line)
        command = load_command(name)
        given = command.make_context(name, [*words]).params
        found = next_line(name, {**given, "result": after_train(words)} if name == "train" else given)
        assert found == wanted, line
        for each in found.split(", or "):
            program, *rest = shlex.split(each) or [""]
            if program == "genmod":
                load_command(rest[0]).make_context(rest[0], rest[1:])


@pytest.mark.parametrize(
    ("there", "line", "wanted"),
    [
        ([], "selftest", "genmod build"),
        ([], "config", "genmod build"),
        (["model"], "grid", "genmod build -o model-2"),
        (["model", "model-2"], "config", "genmod build -o model-3"),
        (["model/model.json"], "config", "genmod train --dry-run"),
        (["codes", "latents"], "encode -o codes", "genmod build --data codes -o latents-2"),
        (["latent-space.html"], "explore", "genmod explore --export latent-space-2.html"),
        (["model/report.html"], "evaluate", "genmod report -o model/report-2.html"),
        (["'a b'/report.html"], "plot 'a b'", "genmod report 'a b' -o 'a b/report-2.html'"),
        (["report.html"], "compare a b", "genmod report a b -o report-2.html"),
    ],
)
def test_the_line_replaces_nothing_that_is_there(tmp_path, monkeypatch, there, line, wanted):
    monkeypatch.chdir(tmp_path)
    for [path] in map(shlex.split, there):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch() if Path(path).suffix else Path(path).mkdir()
    name, *words = shlex.split(line)
    assert next_line(name, load_command(name).make_context(name, words).params) == wanted


TINY = "--encoder mlp -s encoder.hidden=4 --latent 2"
MADE = [
    f"build {TINY}",
    f"build {TINY} -o a",
    f"build {TINY} -o taken",
    f"build {TINY} -o 'a b'",
    "build --model flow -o flow",
    "train model a flow --steps 2",
    "encode a --with scales -o folder",
    "sweep -s latent=2,4 -s encoder=mlp -s train.steps=2 -o 's w'",
]
"""What is there before the lines to type next are typed."""


@pytest.mark.slow
def test_each_line_can_be_run(genmod, monkeypatch):
    """Each once; a page is not served, for that goes on until Ctrl-C."""
    monkeypatch.setattr("genmod.cli.explore._serve", lambda *_, **__: None)
    for line in MADE:
        assert genmod(*shlex.split(line)).code == 0, line
    pages = []
    for line in dict.fromkeys(each for _, wanted in LINES for each in wanted.split(", or ") if each):
        program, *words = shlex.split(line)
        if program == "python":
            pages.append(Path(words[-1]))
            continue
        words = [each for word in words for each in (sorted(glob(word)) if "*" in word else [word])]
        if words == ["train"]:
            words += ["taken"]  # there is a trained model already
        if words[0] == "train":
            words += ["--steps", "2"]
        done = genmod(*words)
        assert done.code == 0, (line, done.err)
    assert genmod("report", "a", "-o", "page.html").code == 0
    assert genmod("explore", "a", "--export", "p.html").code == 0
    assert all(page.is_file() for page in pages), pages


def test_where_it_is_said(genmod, terminals, monkeypatch):
    assert genmod("list", "encoder").err == "", "others work on this output; nobody reads it"
    at = terminals.Terminal(80, monkeypatch)
    assert at.genmod("list", "encoder").lines[-1] == "next: genmod show encoder autoencoder-2d"
    with monkeypatch.context() as second:
        second.setenv("RANK", "1")
        assert "next: " not in at.genmod("list", "encoder").written, "several processes say it once"
    for silent in (["--json"], ["-q"]):
        assert "next: " not in at.genmod("list", "encoder", *silent).written
    assert "next: " not in at.genmod("list", "encodr").written
    assert genmod("build", "--encoder", "mlp").err.endswith("next: genmod train\n")
    assert "next: " not in genmod("build", "--encoder", "mlp", "-o", "b", "--json").err
    assert genmod("plugin", "new", "rows", "--kind", "encoder").err.endswith(
        "next: cd genmod-rows && pip install -e '.[test]' && pytest\n"
    )


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("--color never sweep -s 'latent=2, 4'", ["genmod --color never sweep -s 'latent=2, 4'"]),
        ("encode sweep -o codes", ["genmod encode sweep -o codes"]),
        ("sample sweep", []),
        ("--debug", []),
    ],
)
def test_what_goes_on_by_itself_says_so_when_it_is_stopped(line, wanted):
    error = KeyboardInterrupt()
    say_to_resume(shlex.split(line), error)
    assert getattr(error, "__notes__", []) == wanted


def test_line_that_resumes(genmod, monkeypatch, tmp_path):
    from genmod.training.trainer import Run

    genmod("build", "--encoder", "mlp", "-s", "encoder.hidden=4", "--latent", "2", "-o", "a b")
    steps, real = iter(range(100)), Run.step

    def stop(run):
        if next(steps) == 3:
            run.stop.received = signal.SIGINT
        return real(run)

    monkeypatch.setattr(Run, "step", stop)
    done = genmod("train", "a b", "--steps", "8", "--device", "cpu")
    assert done.code == 130
    assert done.err.endswith("error: stopped after step 4 by SIGINT\nhint: genmod train 'a b' --resume\n")
    assert resume_line(tmp_path / "model").endswith("/model --resume")
    done = genmod(*shlex.split("train 'a b' --resume"))
    assert done.code == 0
    assert "continuing from step 4 of 8" in done.err
    assert done.err.endswith("next: genmod explore 'a b'\n")
