"""From a record to its class or text, and every way in which that fails."""

import pytest

from genmod.errors import PluginError
from genmod.registry.lookup import Registry

NETWORK = """
from genmod.interfaces.encoder import Encoder
print("noise")
class Good(Encoder):
    def forward(self, x):
        return x
class Half(Encoder):
    pass
class Stranger:
    class Inner(Good):
        pass
def function():
    pass
def __getattr__(name):
    if name == "Exits":
        raise SystemExit(3)
    raise AttributeError(f"nothing called {name!r}")
"""


@pytest.fixture
def provided(site):
    """A component of kind encoder with a given target, and other fields as source text."""

    def make(target, *, kind="encoder", more="", **modules):
        site.plugin(
            "genmod-x", f'"{kind}", "thing", "{target}", {more}', version="1.2", genmod_net=NETWORK, **modules
        )
        return Registry().find(kind, "thing")

    return make


def test_loads_the_class(provided, capsys):
    good = provided("genmod_net:Good").load()
    from genmod.interfaces.encoder import Encoder

    assert good.__name__ == "Good"
    assert issubclass(good, Encoder)
    assert capsys.readouterr() == ("", "noise\n")


def test_loads_a_nested_class(provided):
    assert provided("genmod_net:Stranger.Inner").load().__name__ == "Inner"


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("genmod_nowhere:X", "ModuleNotFoundError: No module named 'genmod_nowhere'"),
        ("genmod_net.sub:X", "ModuleNotFoundError"),
        ("genmod_net:Typo", "AttributeError: nothing called 'Typo'"),
        ("genmod_net:Exits", "SystemExit: 3"),
        ("genmod_bad:X", "ZeroDivisionError"),
        (":X", "ValueError: Empty module name"),
        ("..a:X", "TypeError"),
        ("genmod_net:", "AttributeError"),
        ("genmod_net:function", "genmod_net:function is a function, not a class"),
        ("genmod_net:Stranger", "genmod_net:Stranger is not a subclass of genmod.interfaces.encoder:Encoder"),
        ("genmod_net:Half", "genmod_net:Half does not define forward"),
    ],
)
def test_unusable_target(provided, target, cause):
    thing = provided(target, genmod_bad="1 / 0")
    with pytest.raises(PluginError, match=r"encoder 'thing' of genmod-x 1\.2 ") as raised:
        thing.load()
    assert cause in raised.value.message
    assert "genmod-x" in raised.value.hint
    assert raised.value.exit_code == 3


def test_original_error_is_kept(provided):
    with pytest.raises(PluginError) as raised:
        provided("genmod_bad:X", genmod_bad="1 / 0").load()
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_interruption_passes(provided):
    with pytest.raises(KeyboardInterrupt):
        provided("genmod_bad:X", genmod_bad="raise KeyboardInterrupt").load()


def test_missing_requirement(provided):
    thing = provided("genmod_bad:X", more='requires=("pluggy", "not-here", "nor-this")', genmod_bad="1 / 0")
    with pytest.raises(PluginError, match="needs not-here, nor-this") as raised:
        thing.load()
    assert raised.value.hint == "pip install not-here nor-this"


def test_met_requirement(provided):
    assert provided("genmod_net:Good", more='requires=("pluggy",)').load()


@pytest.mark.parametrize(
    ("kind", "name", "extra"), [("format", "onnx", "export"), ("tracker", "wandb", "wandb")]
)
def test_what_is_missing_comes_with_the_extra_that_has_it(monkeypatch, kind, name, extra):
    monkeypatch.setattr("genmod.registry.provided.installed", lambda name: None)
    with pytest.raises(PluginError, match="which is not installed") as error:
        Registry(third_party=False).find(kind, name).load()
    assert error.value.hint == f"pip install 'genmod-torch[{extra}]'"


def test_recipe(site, provided):
    (site.path / "genmod_recipes").mkdir()
    (site.path / "genmod_recipes" / "thing.toml").write_text("latent = 4  # é\n", encoding="utf-8")
    recipe = provided("genmod_recipes:thing.toml", kind="recipe")
    assert recipe.text() == "latent = 4  # é\n"
    with pytest.raises(TypeError, match="call text"):
        recipe.load()


def test_class_is_no_text(provided):
    with pytest.raises(TypeError, match="call load"):
        provided("genmod_net:Good").text()


@pytest.mark.parametrize(
    "target", ["genmod_nowhere:a.toml", "genmod_net:a.toml", "genmod_recipes:latin.toml"]
)
def test_unreadable_recipe(site, provided, target):
    (site.path / "genmod_recipes").mkdir()
    (site.path / "genmod_recipes" / "latin.toml").write_bytes(b"\xe9")
    with pytest.raises(PluginError, match=r"recipe 'thing' of genmod-x 1\.2 cannot be read"):
        provided(target, kind="recipe").text()


def test_missing_requirement_of_a_recipe(provided):
    with pytest.raises(PluginError, match="not-here"):
        provided("x:a.toml", kind="recipe", more='requires=("not-here",)').text()
