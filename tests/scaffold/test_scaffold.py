"""What ``genmod plugin new`` writes: installed and tested as written, it passes."""

import sys
import tomllib

import numpy as np
import pytest

import genmod
from genmod.errors import FileError, UsageError
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.scaffold import new_plugin, plugin_files
from genmod.scaffold.templates.format import TemplateFormat
from genmod.testing import run_checks


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that writes a plugin and puts it on the path with metadata by hand; gives its registry."""

    def install(name, kinds):
        folder = new_plugin(name, kinds, tmp_path / f"genmod-{name}")
        settings = tomllib.loads((folder / "pyproject.toml").read_text())
        info = folder / f"{settings['project']['name'].replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {settings['project']['name']}\nVersion: 0.1.0\n"
        )
        points = settings["project"]["entry-points"]["genmod.v1"].items()
        lines = "".join(f"{key} = {value}\n" for key, value in points)
        (info / "entry_points.txt").write_text(f"[genmod.v1]\n{lines}")
        monkeypatch.syspath_prepend(str(folder))
        return Registry(only=[settings["project"]["name"]])

    yield install
    for module in [name for name in sys.modules if name.startswith("genmod_made_")]:
        del sys.modules[module]


# A divergence is tried with every pair of distributions that it may be between.
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "divergence" else ()) for kind in KINDS]
)
def test_every_kind_passes_every_check(installed, kind):
    registry = installed(f"made-{kind}", [kind])
    report = run_checks(f"genmod-made-{kind}", registry=registry)
    assert report.ok, report.failed
    assert {outcome.component for outcome in report.checks} == {f"{kind}/made-{kind}"}


@pytest.mark.slow
def test_all_kinds_together_make_a_model(installed):
    registry = installed("made-all", list(KINDS))
    report = run_checks("recipe/made-all", registry=registry)
    assert report.ok, report.failed


def test_imports_of_older_packages_still_work(installed, tmp_path):
    registry = installed("made-before", ["features"])
    file = tmp_path / "genmod-made-before" / "genmod_made_before" / "features.py"
    text = file.read_text()
    assert text.count("from genmod import DataInfo, Features\n") == 1
    file.write_text(
        text.replace("import DataInfo, Features\n", "import DataInfo\nfrom genmod.features import Features\n")
    )
    assert registry.find("features", "made-before").load().__name__ == "MadeBeforeFeatures"


def test_readme_has_the_two_commands():
    readme = plugin_files("thing", ["decoder"])["README.md"]
    commands = [line.removeprefix("$ ") for line in readme.splitlines() if line.startswith("$ ")]
    assert commands == ["pip install -e '.[test]'", "pytest"]


def test_names():
    files = plugin_files("genmod-two-words", ["decoder", "recipe"])
    assert "genmod_two_words/decoder.py" in files
    assert "class TwoWordsDecoder(Decoder)" in files["genmod_two_words/decoder.py"]
    assert 'decoder = "genmod-two-words/two-words"' in files["genmod_two_words/two-words.toml"]
    assert not [path for path, text in files.items() if "Template" in text or "{" in path]


def test_nothing_is_overwritten(tmp_path):
    place = tmp_path / "taken"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="exists and is left as it is"):
        new_plugin("thing", ["decoder"], place)
    assert [path.name for path in place.iterdir()] == ["mine.txt"]
    new_plugin("thing", ["decoder"], tmp_path / "new")
    with pytest.raises(FileError):
        new_plugin("thing", ["encoder"], tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError):
        new_plugin("thing", ["encoder"], tmp_path / "link")


@pytest.mark.parametrize(
    ("name", "kinds", "match"),
    [
        ("thing", ["decoders"], "no kind 'decoders'"),
        ("thing", [], "no kind was given"),
        ("Thing", ["decoder"], "is not a component name"),
        ("../thing", ["decoder"], "is not a component name"),
        ("mlp", ["decoder", "encoder"], "is the name of a built-in encoder"),
    ],
)
def test_what_cannot_be_made(tmp_path, name, kinds, match):
    with pytest.raises(UsageError, match=match) as raised:
        new_plugin(name, kinds, tmp_path / "new")
    assert raised.value.hint
    assert not (tmp_path / "new").exists()


def test_arrays_that_are_no_numbers_are_refused_by_the_format(tmp_path):
    model = genmod.build(encoder="mlp", latent=2)
    TemplateFormat().write(model, tmp_path, lambda: None, 0)
    np.savez(tmp_path / "weights.npz", text=np.array(["text"]))
    with pytest.raises(FileError, match="is damaged"):
        TemplateFormat().read(tmp_path).weights(model)
