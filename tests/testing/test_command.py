"""``genmod check`` and ``genmod plugin new``, as processes would see them."""

import json
import sys

import pytest

from genmod.cli.app import run

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


def test_new(tmp_path, capsys):
    place = tmp_path / "made"
    assert run(["plugin", "new", "made-thing", "--kind", "decoder", "-o", str(place)]) == 0
    assert capsys.readouterr().out.strip() == str(place)
    assert (place / "genmod_made_thing" / "decoder.py").is_file()
