"""``python -m genmod`` runs nothing that merely lies in the current directory."""

import os

import pytest

from genmod.__main__ import path_without_current

PROBE = """
import json, sys
import genmod.cli
def main():
    from genmod.registry.lookup import Registry
    print(json.dumps({"plugins": [s.distribution for s in Registry().plugins()], "path": sys.path}))
genmod.cli.main = main
"""
EVIL = "open('ran', 'w').close()\n"


@pytest.fixture
def planted(site, other_site):
    """A program in place of the command line, which every interpreter imports, and a planted plugin in another folder."""
    (site.path / "sitecustomize.py").write_text(PROBE)
    (site.path / "probe.py").write_text(PROBE)
    other_site.plugin("evil", before=EVIL)
    return other_site.path


def test_planted_plugin_is_not_run(planted, python):
    found = python("-m", "genmod", cwd=planted)
    assert "evil" not in found["plugins"]
    assert str(planted) not in found["path"]
    assert not (planted / "ran").exists()


def test_planted_plugin_is_run_where_the_folder_stays_on_the_path(planted, python):
    code = "import probe; probe.main()"
    assert "evil" in python("-c", code, cwd=planted)["plugins"]
    assert (planted / "ran").exists()


@pytest.mark.parametrize("flags", [[], ["-P"]])
def test_folder_that_is_on_the_path_for_another_reason_stays(planted, python, flags):
    found = python(*flags, "-m", "genmod", path=[planted], cwd=planted)
    assert "evil" in found["plugins"]
    assert found["path"].count(str(planted)) == 1


def test_started_from_the_folder_it_is_installed_in(planted, python, site):
    assert "genmod-torch" in python("-m", "genmod", cwd=site.path)["plugins"]


def test_path_without_current(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = os.getcwd()
    assert path_without_current([here, "/a", here], added=True) == ["/a", here]
    assert path_without_current(["", "/a"], added=True) == ["/a"]
    assert path_without_current([here, "/a"], added=False) == [here, "/a"]
    assert path_without_current(["/a", here], added=True) == ["/a", here]
    assert path_without_current([], added=True) == []


def test_deleted_current_directory(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert path_without_current(["", "/a"], added=True) == ["/a"]
