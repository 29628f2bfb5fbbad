"""What the shell completes words to: in this process, by a real bash, and what it costs."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genmod.cli.completion import _options, model_directories
from genmod.options.schema import options_of
from genmod.registry.lookup import Registry

CLASSES = [p for p in Registry(third_party=False).components() if p.kind not in ("recipe", "reproduction")]
HEAVY = ("torch", "torchvision", "numpy", "pydantic")


@pytest.fixture
def complete(genmod, monkeypatch):
    """The words that the last one of a command line is completed to."""

    def run(line):
        monkeypatch.setenv("_GENMOD_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - (not line.endswith(" "))))
        done = genmod()
        assert done.err == ""
        return done.out.split()

    return run


def model_of(folder, dataset="genmod-torch/sprites"):
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"components": {"dataset": {"name": dataset}}}))


@pytest.fixture
def models(genmod):
    """Models in the current folder, near and far, among folders that hold none."""
    for place in (
        "model",
        "runs/beta=4,latent=8",
        "runs/b",
        "far/a/b",
        "too/far/a/b",
        ".hidden/x",
        "my model",
    ):
        model_of(Path(place))
    model_of(Path("runs/b/checkpoints/inner"))
    Path("empty").mkdir()
    Path("loop").symlink_to(".")
    Path("linked").symlink_to("runs/b")


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", ["far/a/b", "linked", "model", "runs/b", "runs/beta=4,latent=8"]),
        ("m", ["model"]),
        ("ru", ["runs/b", "runs/beta=4,latent=8"]),
        ("runs/be", ["runs/beta=4,latent=8"]),
        ("./ru", ["./runs/b", "./runs/beta=4,latent=8"]),
        ("too/", ["too/far/a/b"]),
        (".h", [".hidden/x"]),
        ("empty", []),
        ("nowhere/x", []),
        ("runs/b/", ["runs/b/checkpoints/inner"]),
    ],
)
def test_model_directories(models, typed, wanted):
    assert model_directories(typed) == wanted


def test_model_directories_below_home_and_root(models, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert model_directories("~/mod") == ["~/model"]
    assert model_directories(f"{Path.cwd()}/mod") == [f"{Path.cwd()}/model"]


def test_search_for_models_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("genmod.cli.completion._MAX_FOLDERS", 5)
    for i in range(20):
        model_of(Path(f"{i:02}/x"))
    model_of(Path("near"))
    found = model_directories("")
    assert "near" in found
    assert len(found) == 1 + 4


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        *(
            (f"genmod {command} mod", ["model"])
            for command in ("train", "sample", "reconstruct", "interpolate")
        ),
        *(
            (f"genmod {command} mod", ["model"])
            for command in ("traverse", "fit-sampler", "evaluate", "compare")
        ),
        ("genmod evaluate model run", ["runs/b", "runs/beta=4,latent=8"]),
        ("genmod train -q runs/be", ["runs/beta=4,latent=8"]),
        ("genmod plugin new --kind po", ["posterior"]),
        ("genmod train --tracker cs", ["csv"]),
        ("genmod export --format diff", ["diffusers"]),
        ("genmod train --data digi", ["digits"]),
        ("genmod fit-sampler --sampler gm", ["gmm"]),
        ("genmod sweep beta-va", ["beta-vae"]),
        ("genmod check prior/non", ["prior/none"]),
        ("genmod --no-plugins check prior/non", ["prior/none"]),
        # Options of the part that was named, else of the recipe's, else of the model's.
        ("genmod build --encoder conv -s encoder.n", ["encoder.norm="]),
        ("genmod build --encoder genmod-torch/mlp -s encoder.h", ["encoder.hidden="]),
        ("genmod build autoencoder -s objective.latent_p", ["objective.latent_penalty="]),
        ("genmod build --data sprites -s dataset.pos", ["dataset.positions="]),
        ("genmod build --data mnist -s dataset.v", ["dataset.validation="]),  # its __init__ is its base's
        ("genmod sweep --set objective.be", ["objective.beta="]),
        ("genmod check encoder/conv -s encoder.chan", ["encoder.channels="]),
        ("genmod train model -s dataset.pos", ["dataset.positions="]),
        ("genmod train -s dataset.pos", ["dataset.positions="]),
        ("genmod train runs/b --data mnist -s dataset.", ["dataset.validation="]),
        ("genmod evaluate runs/b -s dataset.pos", ["dataset.positions="]),
        ("genmod fit-sampler --sampler kde -s sampler.b", ["sampler.bandwidth="]),
        ("genmod export --format diffusers -s format.sc", ["format.scaling="]),
        ("genmod build --encoder nothing -s encoder.n", []),
        ("genmod train empty -s dataset.", []),
    ],
)
def test_words(models, complete, line, wanted):
    assert complete(line) == wanted


def test_options_stand_for_all_parts(complete):
    found = complete("genmod build vae -s ")
    assert {word.partition(".")[0] for word in found} >= {"encoder", "decoder", "objective"}
    assert all(word.endswith("=") for word in found)


@pytest.mark.parametrize("provided", CLASSES, ids=lambda p: f"{p.kind}-{p.name}")
def test_options_read_from_the_text_are_those_of_the_class(provided):
    for name in provided.component.requires:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    assert _options(provided.component.target) == [option.name for option in options_of(provided.load())]


def test_options_of_a_plugin_without_importing_it(complete, plant):
    heavy = """
raise SystemExit("imported")
from .base import Base as Under
class Net(Under): pass
"""
    base = "class Base:\n    def __init__(self, shape, *, width: int = 3, depth: int = 1): pass\n"
    plant("genmod-other", '"encoder", "wide", "genmod_other.heavy:Net"', heavy=heavy, base=base)
    assert complete("genmod build --encoder wide -s encoder.") == ["encoder.width=", "encoder.depth="]
    assert "genmod_other.heavy" not in sys.modules


def test_names_of_plugins_to_switch_off_import_nothing(complete, plant):
    plant("genmod-bad", before="print('loud')\nraise SystemExit('stop')")
    assert complete("genmod --disable-plugin genmod-") == ["genmod-bad"]
    assert "genmod_bad" not in sys.modules


def test_plugins_that_talk_are_not_heard(complete, plant):
    before = "import sys\nprint('out')\nsys.stderr.write('err')"
    plant("genmod-loud", '"encoder", "loud", "genmod_loud:Loud"', before=before)
    assert complete("genmod build --encoder lo") == ["loud"]


def light(line):
    """What completing a line in a clean interpreter prints, and what of the heavy packages it imports."""
    words = line.split()
    code = f"""
import sys
from genmod.cli import main
try:
    main([])
except SystemExit as done:
    assert not done.code, done.code
print("imported:", *(name for name in {HEAVY!r} if name in sys.modules))
"""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("GENMOD_", "PYTHON", "_GENMOD"))}
    environ |= {"_GENMOD_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environ["COMP_CWORD"] = str(len(words) - (not line.endswith(" ")))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.split("imported:")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("genmod list e", "encoder"),
        ("genmod build --encoder ", "conv"),
        ("genmod build --encoder conv -s encoder.", "encoder.channels="),
        ("genmod train mo", "model"),
        ("genmod train -s dataset.", "dataset.positions="),
        ("genmod build --enc", "--encoder"),
    ],
)
def test_nothing_heavy_is_imported(models, line, word):
    out, imported = light(line)
    assert word in out.split()
    assert imported.split() == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash(models, tmp_path):
    """By the script that ``genmod --install-completion`` installs, with bash's own variables."""
    program = tmp_path / "bin" / "genmod"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m genmod "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(_GENMOD_COMPLETE=source_bash genmod)"
complete -p genmod
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _genmod_completion genmod; echo "${COMPREPLY[@]}"; }
try genmod sample runs/
try genmod build -s encoder.act
try genmod show posterior power
try genmod train empty
"""
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "complete -o default -F _genmod_completion genmod",
        "runs/b runs/beta=4,latent=8",
        "encoder.activation=",
        "power-spherical",
        "",
    ]
