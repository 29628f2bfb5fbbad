"""``--plugin FILE``: a model goes on with the same program, is told of another one, and a broken file is named at once."""

import json
import re
import subprocess
import sys

import pytest

SOURCE = '''"""An encoder in a file."""
from math import prod
from torch import nn
from genmod import Component, Encoder, hookimpl


class Tiny(Encoder):
    """One layer."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (4,)
        self.layer = nn.Linear(prod(data_shape), 4)

    def forward(self, x):
        return self.layer(x.flatten(1)).relu()


@hookimpl
def genmod_components():
    yield Component("encoder", "tiny", "tiny_file:Tiny", summary="one layer")
'''


@pytest.fixture
def file(plugin_file):
    return plugin_file("tiny_file", SOURCE)


@pytest.fixture
def built(genmod, file):
    words = ("--encoder", "tiny", "--network", "linear", "--latent", "2", "-o", "m")
    done = genmod("build", "--plugin", file, *words)
    assert done.code == 0, done.err
    assert done.err.endswith(f"next: genmod train m --plugin {file}\n")
    return file


def drawn(genmod, file, *more):
    return genmod("sample", "m", "-n", "1", "-o", "s.png", "--overwrite", "--plugin", file, *more)


def test_a_comment_changes_nothing(genmod, built):
    built.write_text(
        "# by me\n" + SOURCE.replace('    """One layer."""\n', '    """The same,   explained."""\n\n')
    )
    done = drawn(genmod, built)
    assert done.code == 0, done.err
    assert "another" not in done.err


@pytest.mark.filterwarnings("default::genmod.errors.PluginWarning")
def test_another_program_is_refused_and_the_way_on_is_said(genmod, built):
    built.write_text(SOURCE.replace("relu()", "tanh()"))
    done = drawn(genmod, built)
    assert done.code == 3
    said = re.search(
        r"encoder 'tiny' was saved with another ./tiny_file.py: sha256:(\w{12}) then, sha256:(\w{12}) now, "
        r"last changed \d{4}-\d\d-\d\d \d\d:\d\d;",
        done.err,
    )
    assert said, done.err
    assert said[1] != said[2]
    assert "add --accept-changed" in done.err
    goes_on = drawn(genmod, built, "--accept-changed")
    assert goes_on.code == 0, goes_on.err
    assert goes_on.err.count("warning: encoder 'tiny' was saved with another ./tiny_file.py") == 1


@pytest.mark.filterwarnings("default::genmod.errors.PluginWarning")
def test_a_model_of_an_earlier_version_knows_the_bytes_alone(genmod, built, tmp_path):
    model = tmp_path / "here" / "m" / "model.json"
    saved = json.loads(model.read_text())
    assert "+code:" in saved["components"]["encoder"]["version"]
    bytes_alone = saved["components"]["encoder"]["version"].partition("+code:")[0]
    saved["components"]["encoder"]["version"] = bytes_alone
    model.write_text(json.dumps(saved))
    assert drawn(genmod, built).code == 0
    built.write_text(SOURCE + "# more\n")
    assert drawn(genmod, built).code == 3
    assert drawn(genmod, built, "--accept-changed").code == 0


def test_a_file_that_a_model_names_is_never_run_unless_it_is_given(genmod, built, tmp_path):
    trap = tmp_path / "here" / "tiny_file.py"
    trap.write_text("open('ran', 'w').close()\n" + SOURCE)
    sys.modules.pop("tiny_file", None)
    for more in ([], ["--accept-changed"]):
        done = genmod("sample", "m", "-n", "1", "-o", "s.png", *more)
        assert (done.code, "needs the file './tiny_file.py', which was not given" in done.err) == (3, True)
    assert not (tmp_path / "here" / "ran").exists()
    assert "tiny_file" not in sys.modules


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (\n", "line 1: SyntaxError: '(' was never closed"),
        ("import os\n\n1 / 0\n", "line 3: ZeroDivisionError"),
        ("x = 1\n", "it has no hook genmod_components"),
    ],
)
def test_a_broken_file_is_told_although_no_name_of_it_is_used(genmod, file, text, said):
    file.write_text(text)
    done = genmod("build", "--encoder", "mlp", "--plugin", file, "--dry-run")
    assert done.code == 3
    assert f"plugin ./{file.name} is broken: " in done.err
    assert said in done.err
    assert "SyntaxError" not in said or f"{file}, line 1" in done.err
    assert genmod("build", "--help", "--plugin", file).code == 0


def test_an_error_while_a_part_is_made_names_the_line(genmod, file):
    file.write_text(SOURCE.replace("(4,)", "(4 // 0,)"))
    done = genmod("build", "--plugin", file, "--encoder", "tiny", "--dry-run")
    assert done.code == 3
    assert f"failed while being built ({file}, line 12): ZeroDivisionError" in done.err
    assert "hint: mend the file" in done.err


def test_checksums_are_shown_short(genmod, file):
    for command in (["list", "encoder"], ["plugins"], ["show", "encoder", "tiny"]):
        out = genmod(*command, "--plugin", file).out
        assert re.search(r"\bsha256:[0-9a-f]{12}\b(?![0-9a-f+])", out), out
    listed = json.loads(genmod("list", "encoder", "--json", "--plugin", file).out)["components"]
    assert len(next(each for each in listed if each["name"] == "tiny")["version"]) > 128


LOUD = """
print("at import")
import os
os.system("echo by a child")
""" + SOURCE.replace("        super()", '        print("while it is made")\n        super()').replace(
    "        return", '        print("in a step")\n        return'
)


@pytest.mark.parametrize(
    "line",
    [
        "list encoder --json",
        "plugins --json",
        "show encoder tiny --json",
        "build --encoder tiny --network linear -o m --json",
    ],
)
def test_what_a_plugin_prints_is_no_part_of_the_document(genmod, file, line):
    file.write_text(LOUD)
    done = genmod(*line.split(), "--plugin", file)
    assert done.code == 0, done.err
    assert json.loads(done.out)
    assert "at import\n" in done.err
    assert ("while it is made\n" in done.err) == ("in a step\n" in done.err) == line.startswith("build")


AT_EXIT = """
import atexit, os
from genmod import Component, hookimpl

atexit.register(print, "at exit")
atexit.register(os.write, 1, b"and past Python\\n")

@hookimpl
def genmod_components():
    yield Component("encoder", "tiny", "tiny_file:Tiny", summary="one layer")
"""


def test_nor_is_what_it_prints_at_exit(file):
    file.write_text(AT_EXIT)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "genmod", "list", "encoder", "--json", "--plugin", file],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tiny" in str(json.loads(done.stdout))
    assert {"at exit", "and past Python"} <= set(done.stderr.splitlines())
