"""``genmod check`` and ``genmod plugin new``, as processes would see them."""

import json
import sys

import pytest

from genmod.cli.app import run
from genmod.errors import UsageError

FILE = """
from genmod import Component, hookimpl
from genmod.scaffold.templates.prior import TemplatePrior

class Prior(TemplatePrior):
    '''Learned normals; UsageError.'''
{wrong}

@hookimpl
def genmod_components():
    yield Component("prior", "checked", "checked_file:Prior", summary="learned normals")
"""
WRONG = """
    has_density = False
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "checked_file.py"
    yield path
    sys.modules.pop("checked_file", None)


def test_right(file, capsys):
    file.write_text(FILE.format(wrong=""))
    assert run(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "0 failed" in out.splitlines()[-1]
    assert "checks of 1 component ran" in out


def test_wrong(file, capsys):
    file.write_text(FILE.format(wrong=WRONG))
    assert run(["check", str(file), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    (failed,) = [each for each in document["checks"] if each["status"] == "failed"]
    assert failed["check"] == "check_prior_shapes"
    assert failed["message"]
    assert failed["remedy"]


def test_expected(file, capsys):
    file.write_text(FILE.format(wrong=WRONG))
    reason = "check_prior_shapes=it has no density on purpose"
    assert run(["check", str(file), "--expect", reason, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (expected,) = [each for each in document["checks"] if each["status"] == "expected"]
    assert expected["message"].startswith("it has no density on purpose: ")
    file.write_text(FILE.format(wrong=""))
    sys.modules.pop("checked_file")
    assert run(["check", str(file), "--expect", f"prior/checked:{reason}"]) == 1
    assert "and passed" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("check_prior_shapes", "no reason"),
        ("check_prior_shapes= ", "no reason"),
        ("check_prior_shape=mistyped", "did you mean check_prior_shapes"),
        ("prior/other:check_prior_shapes=why", "prior/checked:check_prior_shapes"),
    ],
)
def test_expectations_that_make_no_sense(file, given, said):
    file.write_text(FILE.format(wrong=""))
    with pytest.raises(UsageError) as raised:
        run(["check", str(file), "--expect", given])
    assert said in f"{raised.value.message} {raised.value.hint}"


def test_new(tmp_path, capsys):
    place = tmp_path / "made"
    assert run(["plugin", "new", "made-thing", "--kind", "decoder", "-o", str(place)]) == 0
    assert capsys.readouterr().out.strip() == str(place)
    assert (place / "genmod_made_thing" / "decoder.py").is_file()
