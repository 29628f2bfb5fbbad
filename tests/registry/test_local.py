"""Components of a file that is given by name: recorded with its hash, never loaded by itself."""

import json
import sys

import pytest

from genmod.errors import FileError, PluginError, UsageError
from genmod.registry.errors import MissingPluginError
from genmod.registry.file_version import file_version
from genmod.registry.lookup import Registry

SOURCE = """
from genmod import Component, hookimpl
from genmod.scaffold.templates.decoder import TemplateDecoder

class Mine(TemplateDecoder):
    '''Mine.'''

@hookimpl
def genmod_components():
    yield Component("decoder", "mine", "my_file:Mine", summary="mine")
"""


@pytest.fixture
def file(plugin_file):
    return plugin_file("my_file", SOURCE)


def digest(path):
    return file_version(path.read_bytes())


def test_component_of_a_file(file):
    registry = Registry(files=[file])
    found = registry.find("decoder", "mine")
    assert (found.distribution, found.version) == ("./my_file.py", digest(file))
    assert not found.registered
    assert registry.find("decoder", "./my_file.py/mine") == found
    assert found.load().__name__ == "Mine"
    assert "mine" in registry.names("decoder")
    assert f"# ./my_file.py {digest(file)}" in registry.requirements()


def test_nothing_of_it_runs_before_it_is_needed(file):
    registry = Registry(files=[file])
    assert registry.find("encoder", "mlp").builtin
    assert "my_file" not in sys.modules


def test_it_is_used_even_without_third_party_plugins(file):
    assert Registry(files=[file], third_party=False, only=[]).find("decoder", "mine")


def test_it_is_never_loaded_by_itself(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    monkeypatch.syspath_prepend(str(file.parent))
    with pytest.raises(
        MissingPluginError, match=r"needs the file './my_file.py', which was not given"
    ) as raised:
        Registry().find("decoder", "./my_file.py/mine")
    assert "--plugin" in raised.value.hint
    assert "my_file" not in sys.modules


def test_what_was_hashed_is_what_runs(file):
    registry = Registry(files=[file])
    file.write_text("raise RuntimeError('another file')")
    assert registry.find("decoder", "mine").load().__name__ == "Mine"


def test_changed_file_is_loaded_anew(file):
    assert Registry(files=[file]).find("decoder", "mine")
    file.write_text(SOURCE.replace('"mine"', '"other"'))
    assert Registry(files=[file]).find("decoder", "other").version == digest(file)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("import no_such_module_at_all", r"my_file.py is broken: .*my_file.py, line 1: ModuleNotFoundError"),
        ("\n\nx = 1 / 0", r"my_file.py, line 3: ZeroDivisionError"),
        ("x = 1\ny = (", r"my_file.py, line 2: SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("", "it has no hook genmod_components"),
    ],
)
def test_broken_file_is_an_error(file, source, match):
    file.write_text(source)
    with pytest.raises(PluginError, match=match):
        Registry(files=[file]).components()
    assert "my_file" not in sys.modules or source == ""


def test_names_of_other_modules_are_refused(tmp_path):
    (tmp_path / "json.py").write_text(SOURCE)
    with pytest.raises(UsageError, match="name of another module, json"):
        Registry(files=[tmp_path / "json.py"])
    assert sys.modules["json"] is json


@pytest.mark.parametrize("name", ["my-file.py", "mine.txt"])
def test_no_python_file(tmp_path, name):
    (tmp_path / name).write_text(SOURCE)
    with pytest.raises(UsageError, match="no Python file that can be imported"):
        Registry(files=[tmp_path / name])


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        Registry(files=[tmp_path / "none.py"])
    with pytest.raises(FileError, match="is not a file"):
        Registry(files=[tmp_path])


def test_two_files_of_one_name(file, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "my_file.py"
    twin.write_text(SOURCE + "\n")
    with pytest.raises(UsageError, match=r"two plugins are called ./my_file.py"):
        Registry(files=[file, twin])
    assert Registry(files=[file, file]).find("decoder", "mine")


def test_with_files_keeps_the_rest(file):
    registry = Registry(disabled=["genmod-x"], third_party=False).with_files([file])
    assert registry.find("decoder", "mine").distribution == "./my_file.py"
