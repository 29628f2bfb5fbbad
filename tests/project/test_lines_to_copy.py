"""Lines that messages offer for copying: whatever a file is called, a shell takes its name for one word."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genmod
from genmod.bundle.directory import ModelDirectory
from genmod.errors import GenmodError
from genmod.figures.curves import read_curves
from genmod.nn.weights import initial_weights
from genmod.system.files import own_path
from genmod.training.resume import find

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("core", "cli", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
COMMAND = re.compile(r"(^|[\s`])(genmod [a-z]|--plugin |python |mkdir |rm |cd )[^\n]*$")
NAMES = re.compile(r"\b(path|directory|place|folder|target|out|export|parent|file|provider|root)\b")
HOSTILE = "a'b\"; touch RAN; $(touch RAN) `touch RAN` é"


def unquoted(source):
    """Paths that are put into a command as they are."""
    for node in ast.walk(ast.parse(source)):
        said = ""
        for part in node.values if isinstance(node, ast.JoinedStr) else ():
            if isinstance(part, ast.Constant):
                said += part.value
                continue
            text = ast.unparse(part.value)
            if COMMAND.search(said) and NAMES.search(text) and not text.startswith(("quoted(", "shlex.")):
                yield said.rpartition("\n")[2] + text
            said += "…"


def test_every_path_in_a_command_is_quoted():
    found = {path.name: lines for path in SOURCES if (lines := list(unquoted(path.read_text("utf-8"))))}
    assert found == {}
    assert list(unquoted("f'{path} is no model; type: genmod train {directory}'")) == [
        "… is no model; type: genmod train directory"
    ]


def hint_of(work, *arguments):
    with pytest.raises(GenmodError) as caught:
        work(*arguments)
    return caught.value.hint


def test_hostile_names_are_one_word(tmp_path):
    place = tmp_path / HOSTILE
    hints = [hint_of(ModelDirectory(place).read_spec)]
    place.mkdir()
    hints.append(hint_of(ModelDirectory(place).read_spec))
    (place / "link").symlink_to("elsewhere")
    hints.append(hint_of(own_path, place, "link"))
    genmod.save(genmod.build(encoder="mlp", latent=2), place / "model")
    hints.append(hint_of(read_curves, [ModelDirectory(place / "model")]))
    hints.append(hint_of(find, place / "model", None, {}, print))
    for hint in hints:
        words = shlex.split(hint)
        assert any(word in (str(place), str(place / "link"), str(place / "model")) for word in words), hint


@pytest.mark.slow
def test_weights_are_converted_by_the_line_that_is_offered(tmp_path):
    path = tmp_path / f"{HOSTILE}.pt"
    torch.save({"w": torch.ones(2)}, path)
    line = hint_of(initial_weights, path).splitlines()[1].strip()
    assert line.startswith("python -P -c")
    (tmp_path / "json.py").write_text("open('RAN', 'w')")
    line = line.replace("python", shlex.quote(sys.executable), 1)
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    assert not (tmp_path / "RAN").exists()
    assert initial_weights(path.with_suffix(".safetensors"))["w"].tolist() == [1, 1]
