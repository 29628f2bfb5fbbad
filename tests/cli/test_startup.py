"""What must be quick is quick: commands that need no tensors import nothing heavy."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

LIGHT = (
    ["--help"],
    ["--version"],
    ["list"],
    ["list", "encoder", "--json"],
    ["plugins"],
    ["build", "--help"],
    ["show", "encoder", "conv"],
    ["show", "prior", "wrapped-normal", "--json"],
    ["show", "recipe", "vae"],
    ["show", "reproduction", "iwae"],
    ["show", "--contract", "decoder"],
)
HEAVY = ("torch", "torchvision", "numpy", "pydantic", "rich")


def _environment():
    return {key: value for key, value in os.environ.items() if not key.startswith(("GENMOD_", "PYTHON"))}


def _python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_little_is_imported_and_nothing_heavy(arguments):
    """A count says on every machine what a clock says on a quiet one: torch alone brings over a thousand."""
    code = f"""
import sys
from genmod.cli import main
try:
    main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
sys.stderr.write(" ".join([str(len(sys.modules)), *(name for name in {HEAVY!r} if name in sys.modules)]))
"""
    done = _python("-c", code)
    assert done.returncode == 0, done.stderr
    count, *heavy = done.stderr.split()
    assert heavy == []
    assert int(count) <= 310
    assert done.stdout


def test_completion_of_names_imports_nothing_heavy():
    code = f"""
import os, sys
os.environ.update(_GENMOD_COMPLETE="complete_bash", COMP_WORDS="genmod build --encoder ", COMP_CWORD="3")
from genmod.cli import main
try:
    main([])
except SystemExit as done:
    assert not done.code, done.code
sys.stderr.write(" ".join(name for name in {HEAVY[:4]!r} if name in sys.modules))
"""
    done = _python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "conv" in done.stdout.split()


@pytest.mark.skipif(
    tuple(map(int, version("torch").split(".")[:2])) < (2, 14),
    reason="older ones import it for what has no memory",
)
def test_no_command_imports_the_compiler(tmp_path):
    """The import of torch's compiler takes as long as that of torch itself."""
    commands = [
        "build --encoder mlp --latent 3 -o m",  # so that latents draws the plane of two components
        "train m --steps 2",
        "evaluate m",
        "sample m -o s.png",
        "reconstruct m -o r.png",
        "traverse m -o t.png",
        "latents m -o l.png",
        "explore m --export e.html",
        "report m -o r.html",
        "plot m -o p.png",
        "info",
    ]
    code = f"""
import os, sys
import genmod.distributions
assert "torch._dynamo" not in sys.modules, "distributions"
from genmod.cli import main
os.chdir({str(tmp_path)!r})
for command in {commands!r}:
    try:
        main(command.split())
    except SystemExit as done:
        assert not done.code, (command, done.code)
    assert not {{"torch._dynamo", "sympy"}} & sys.modules.keys(), command
"""
    done = _python("-c", code)
    assert done.returncode == 0, done.stderr


def test_curves_are_drawn_without_torch(tmp_path):
    (tmp_path / "m").mkdir()
    part = {"name": "mlp", "provider": "genmod-torch", "version": "0.1.0", "revision": 1, "options": {}}
    parts = dict.fromkeys(
        ["encoder", "posterior", "prior", "decoder", "divergence", "objective", "dataset"], part
    )
    plain = {"format": 1, "recipe": "vae", "components": parts, "latent": [2], "condition": []}
    (tmp_path / "m" / "model.json").write_text(json.dumps(plain))
    (tmp_path / "m" / "metrics.jsonl").write_text('{"step": 1, "split": "train", "loss": 1.0}\n')
    code = f"""
import os, sys
from genmod.cli import main
os.chdir({str(tmp_path)!r})
try:
    main(["plot", "m"])
except SystemExit as done:
    assert not done.code, done.code
assert "matplotlib" in sys.modules
sys.stderr.write(" ".join({{"torch", "scipy", "sklearn", "rich", "pydantic"}} & sys.modules.keys()))
"""
    done = _python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m" / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "policy"), [(["list", "encoder"], "PASSIVE"), (["train", "--help"], None)]
)
def test_threads_sleep_between_the_small_operations_of_commands_but_not_in_training(
    genmod, monkeypatch, arguments, policy
):
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    genmod(*arguments)
    assert os.environ.get("OMP_WAIT_POLICY") == policy
