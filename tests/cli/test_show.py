"""``genmod show``: for every component there is."""

import importlib.util
import json
import shlex
import tomllib

import pytest

from genmod.cli.show import _companions
from genmod.defaults import USUAL
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.spec import SPEC_KINDS

ASSEMBLED = {*SPEC_KINDS, "recipe"}
BUILTIN = [
    pytest.param(
        p.kind,
        p.name,
        marks=pytest.mark.skipif(
            any(importlib.util.find_spec(name) is None for name in p.component.requires),
            reason=f"{', '.join(p.component.requires)} is not installed",
        ),
    )
    for p in Registry(third_party=False).components()
]


@pytest.mark.parametrize(("kind", "name"), BUILTIN)
def test_every_component(genmod, kind, name):
    done = genmod("show", kind, name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{kind} {name}, from genmod-torch ")
    assert "``" not in done.out
    document = json.loads(genmod("show", kind, name, "--json").out)
    assert document["description"]
    assert kind != "recipe" or done.out.count(document["summary"]) == 2  # once above its file, and in it
    assert document["example"].startswith("genmod ")
    assert done.out.endswith(f"\nexample: {document['example']}\n")
    # A model has one component of a kind, and an evaluation several metrics.
    prefix = name if kind == "metric" else kind
    for option in document.get("options", ()):
        assert option["help"], option
        assert f"\n{prefix}.{option['name']}\t" in done.out


def pasted(genmod, kind, name):
    """The example that is shown, and the exit code of its command, which builds nothing."""
    shown = genmod("show", kind, name).out.rpartition("\nexample: ")[2].rstrip("\n")
    return shown, genmod(*shlex.split(shown)[1:], "--dry-run").code


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("posterior", "vmf"),
        ("posterior", "delta"),
        ("posterior", "relaxed-categorical"),
        ("prior", "vamp"),
        ("prior", "conditional"),
        ("prior", "autoregressive"),
        ("divergence", "mmd"),
        ("objective", "dreg"),
    ],
)
def test_example_is_accepted(genmod, kind, name):
    """With what else must be chosen."""
    example, code = pasted(genmod, kind, name)
    assert json.loads(genmod("show", kind, name, "--json").out)["example"] == example
    assert code == 0, example


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [pair for pair in BUILTIN if pair.values[0] in USUAL])
def test_every_example_is_accepted(genmod, kind, name):
    example, code = pasted(genmod, kind, name)
    assert code == 0, example


def searched(kind, name):
    """What the search finds that goes with a component."""
    return shlex.join(_companions(kind, name)), Registry(third_party=False).find(
        kind, name
    ).component.goes_with


@pytest.mark.parametrize(
    ("kind", "name"), [("posterior", "gamma"), ("prior", "conditional"), ("objective", "dreg")]
)
def test_what_goes_with_a_component_is_what_a_search_finds(kind, name):
    found, said = searched(kind, name)
    assert said == found != ""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [pair for pair in BUILTIN if pair.values[0] in USUAL])
def test_what_goes_with_any_component_is_what_a_search_finds(kind, name):
    found, said = searched(kind, name)
    assert said == found


def test_what_goes_with_a_component_of_a_plugin_is_searched(genmod, plant):
    parts = """
from genmod.plugins.objectives.dreg import DReG

class Bare(DReG):
    "The same."
"""
    plant("genmod-bound", '"objective", "bound", "genmod_bound.parts:Bare"', parts=parts)
    assert genmod("show", "objective", "bound").out.endswith(" --divergence none\n")


def test_what_a_plugin_says_goes_with_its_component_is_shown_as_written(genmod, plant):
    parts = """
from genmod.plugins.objectives.dreg import DReG

class Bare(DReG):
    "The same."
"""
    said = "--divergence none -s 'decoder.scale=one"
    row = f'"objective", "bound", "genmod_bound.parts:Bare", goes_with="{said}"'
    plant("genmod-bound", row, parts=parts)
    assert genmod("show", "objective", "bound").out.endswith(f" {said}\n")


def test_class_in_words(genmod):
    document = json.loads(genmod("show", "decoder", "gaussian", "--json").out)
    assert document["formula"].startswith("log p(x|z) = ")
    assert "arXiv:2006.13202" in document["reference"]
    scale = next(option for option in document["options"] if option["name"] == "scale")
    assert scale["choices"] == ["learned", "per-dimension", "per-pixel", "optimal"]
    assert (scale["default"], scale["allowed"], scale["required"]) == (
        "learned",
        ">= 1e-30 and <= 1e+30",
        False,
    )
    assert document["example"].startswith("genmod build --decoder gaussian -s decoder.scale=learned")


def test_required_option_is_in_the_example(genmod):
    assert genmod("show", "dataset", "image-folder").out.endswith(
        "--data image-folder -s dataset.path=PATH\n"
    )


def test_recipe_in_words(genmod):
    document = json.loads(genmod("show", "recipe", "beta-vae", "--json").out)
    assert tomllib.loads(document["text"])["objective"] == {"name": "elbo", "beta": 4.0}
    assert {part["kind"]: part["options"] for part in document["parts"]}["objective"] == {"beta": 4.0}
    assert "Higgins" in document["reference"]
    assert document["text"].rstrip() in genmod("show", "recipe", "beta-vae").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["encoder", "cnv"], 2, "did you mean conv?"),
        (["encodr", "conv"], 2, "did you mean encoder"),
        (["encoder", "genmod-vq/vq"], 3, "pip install genmod-vq"),
    ],
)
def test_what_is_not_there(genmod, arguments, code, message):
    done = genmod("show", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_component_of_a_plugin(genmod, plant):
    parts = """
from genmod.plugins.encoders.mlp import MlpEncoder

class Bare(MlpEncoder):
    def __init__(self, data_shape, *, width: int):
        super().__init__(data_shape, hidden=[width])
"""
    record = '"encoder", "mlp", "genmod_other.parts:Bare", requires=("pluggy",)'
    plant("genmod-other", record, parts=parts)
    done = genmod("show", "encoder", "genmod-other/mlp")
    assert done.code == 0
    assert "encoder genmod-other/mlp, from genmod-other 1.5" in done.out
    assert "requires: pluggy" in done.out
    assert "encoder.width\t(required)\twhole number\t" in done.out
    assert done.out.endswith("genmod build --encoder genmod-other/mlp -s encoder.width=WIDTH\n")


def test_every_kind_that_a_model_needs_has_a_built_in_component():
    assert ASSEMBLED <= {each.values[0] for each in BUILTIN} <= set(KINDS)
