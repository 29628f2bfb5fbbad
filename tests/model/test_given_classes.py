"""``genmod.build(encoder=MyClass)``: made with options as a named part is, saved with a word about it, given again to load."""

import json
import sys
import types
from typing import Annotated

import pytest
import torch
from annotated_types import Gt
from torch import nn

import genmod
from genmod import Doc, Encoder, UsageError
from genmod.errors import GivenWarning
from genmod.plugins.models.flow import FlowModel
from genmod.plugins.objectives.elbo import ELBO
from genmod.plugins.priors.conditional import ConditionalPrior


class Rows(Encoder):
    """One layer."""

    def __init__(self, data_shape, *, hidden: Annotated[int, Gt(0), Doc("units")] = 5):
        super().__init__(data_shape)
        self.feature_shape = (hidden,)
        self.layer = nn.Linear(torch.Size(data_shape).numel(), hidden)

    def forward(self, x):
        return self.layer(x.flatten(1)).relu()


X = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(0))
QUICK = {"steps": 2, "device": "cpu", "batch_size": 16}


def built(**more):
    return genmod.build(data=X, latent=2, **{"encoder": Rows, "network": "linear", **more})


@pytest.fixture
def saved(tmp_path):
    model = built(settings={"encoder.hidden": 7, "objective.beta": 2.0}, seed=3)
    with pytest.warns(GivenWarning, match=r"Rows.*No command can.*genmod.load\('.*/m', encoder=Rows\)"):
        genmod.save(model, tmp_path / "m")
    return model, tmp_path / "m"


def test_a_class_is_made_with_its_options():
    assert built().encoder.feature_shape == (5,)
    model = built(settings={"encoder.hidden": 7})
    assert (type(model.encoder), model.encoder.feature_shape) == (Rows, (7,))
    assert model.spec.components["encoder"].options == {"hidden": 7}


def test_the_seed_decides_its_weights():
    first, again, other = (built(seed=seed).encoder.layer.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_is_described_and_loaded_with_the_class(saved):
    model, place = saved
    part = json.loads((place / "model.json").read_text())["components"]["encoder"]
    assert part == {"module": f"{Rows.__module__}.Rows", "options": {"hidden": 7}}
    for loaded in (genmod.load(place, encoder=Rows), genmod.load(place, modules={"encoder": Rows})):
        assert loaded.encoder.feature_shape == (7,)
        torch.testing.assert_close(loaded.encode(X[:3]).mean, model.eval().encode(X[:3]).mean)


def test_without_the_class_it_is_said_which_to_give(saved):
    _, place = saved
    with pytest.raises(UsageError, match=r"encoder \(.*\.Rows\)") as raised:
        genmod.load(place)
    assert raised.value.hint == f"give them again, in Python: genmod.load({str(place)!r}, encoder=Rows)"
    with pytest.raises(UsageError, match="modules are given for prior; this model was given encoder"):
        genmod.load(place, prior=Rows)


def test_a_command_says_the_same(saved, capsys):
    from genmod.cli import main

    with pytest.raises(SystemExit) as exit:
        main(["sample", str(saved[1]), "-n", "1", "-o", str(saved[1] / "s.png")])
    assert exit.value.code == 2
    assert "encoder=Rows)" in capsys.readouterr().err


def test_nothing_is_imported_because_a_file_names_it(saved, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = saved[1] / "model.json"
    plain = json.loads(model.read_text())
    plain["components"]["encoder"]["module"] = "trap.Rows"
    model.write_text(json.dumps(plain))
    with pytest.raises(UsageError, match=r"trap\.Rows"):
        genmod.load(saved[1])
    assert "trap" not in sys.modules


def test_a_class_of_a_notebook(tmp_path, monkeypatch):
    """Its module has no file."""
    notebook = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    exec(
        "from __future__ import annotations\nfrom torch import nn\nfrom genmod import Encoder\n"
        "class Cell(Encoder):\n"
        "    def __init__(self, data_shape, *, width: int = 3):\n"
        "        super().__init__(data_shape)\n        self.feature_shape = (width,)\n"
        "        self.layer = nn.Linear(36, width)\n"
        "    def forward(self, x):\n        return self.layer(x.flatten(1))\n",
        notebook.__dict__,
    )
    model = built(encoder=notebook.Cell, settings={"encoder.width": 4})
    with pytest.warns(GivenWarning, match=r"__main__\.Cell"):
        genmod.train(model, X, directory=tmp_path / "m", **QUICK)
    again = genmod.load(tmp_path / "m", encoder=notebook.Cell)
    torch.testing.assert_close(again.encode(X[:3]).mean, model.eval().encode(X[:3]).mean)


def test_other_kinds():
    class Halved(ELBO):
        def forward(self, model, x):
            terms = super().forward(model, x)
            return type(terms)(terms.loss / 2, terms.values)

    model = built(objective=Halved, settings={"objective.beta": 3.0})
    assert isinstance(model.objective, Halved)
    assert float(model.objective.beta) == 3.0
    model = genmod.build(prior=ConditionalPrior, condition="label", latent=2, encoder="mlp")
    assert model.prior(torch.eye(10)).batch_shape == (10,)
    whole = genmod.build(data=X, model=FlowModel, settings={"model.transforms": 2, "model.hidden": [8]})
    assert type(whole) is FlowModel
    assert whole.log_weights(X[:2]).shape == (1, 2)


def test_an_instance_has_no_options():
    with pytest.raises(UsageError, match=r"no such option: encoder\.hidden"):
        built(encoder=Rows((1, 6, 6)), settings={"encoder.hidden": 4})


@pytest.mark.parametrize(
    ("cls", "settings", "match"),
    [
        (Rows, {"encoder.hidden": 0}, r"encoder\.hidden"),
        (Rows, {"encoder.hiden": 4}, "did you mean hidden"),
        (nn.Linear, {}, r"class or an instance of genmod\.Encoder"),
        (Encoder, {}, "does not define forward"),
        (ELBO, {}, r"class or an instance of genmod\.Encoder"),
    ],
)
def test_what_is_refused(cls, settings, match):
    with pytest.raises(UsageError, match=match):
        built(encoder=cls, settings=settings)


def test_weights_of_another_class_do_not_fit(saved):
    class Other(Rows):
        def __init__(self, data_shape, *, hidden: int = 5):
            super().__init__(data_shape, hidden=hidden + 1)

    with pytest.raises(genmod.errors.FileError):
        genmod.load(saved[1], encoder=Other)
