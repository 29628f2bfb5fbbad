"""What notebooks show: escaped, and true."""

import xml.etree.ElementTree as ElementTree

import torch

import genmod
from genmod import DataInfo, Evaluation, Row
from genmod.figures import Picture
from genmod.spec import ComponentSpec, ModelSpec
from genmod.training.events import TrainResult

EVIL = "<script>alert('&')</script>"


def cells(html):
    """Texts of a table, row by row; it must be well-formed."""
    table = ElementTree.fromstring(html)
    assert table.tag == "table"
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_model():
    model = genmod.build(encoder="mlp", latent=3, settings={"encoder.hidden": [4]})
    rows = cells(model._repr_html_())
    assert rows[1][:2] == ["encoder", "mlp"]
    assert rows[1][4] == "hidden=4"
    total = sum(p.numel() for p in model.parameters())
    assert rows[-1][3] == f"{total:,}"


def test_spec():
    spec = ModelSpec({"encoder": ComponentSpec(EVIL, {"path": EVIL})}, latent=(2, 3), condition=("label",))
    rows = cells(spec._repr_html_())
    assert rows[1] == ["encoder", EVIL, f"path={EVIL}"]
    assert rows[2][:2] == ["latent", "2×3"]
    assert rows[3][:2] == ["condition", "label"]


def test_evaluation():
    found = Evaluation((Row(EVIL, 1.23456, float("nan"), 1000, "nats", "a < b"),), {"rate": EVIL}, (EVIL,))
    rows = cells(found._repr_html_())
    assert rows[1] == [EVIL, "1.235", "unknown", "nats", "1,000", "a < b"]
    assert rows[2][-1] == f"none: {EVIL}"


def test_result():
    rows = ({"step": 5, "epoch": 1.0, "split": "train", "loss": 3.0, "rate": None},)
    shown = cells(TrainResult("finished", 5, 1.5, 5, 2.5, rows)._repr_html_())
    assert shown[1] == ["last of train", "step 5: loss 3"]
    assert shown[2] == ["best validation loss", "2.5 at step 5"]


def test_picture():
    picture = Picture(torch.rand(4, 1, 8, 8), DataInfo((1, 8, 8)))
    assert picture._repr_png_().startswith(b"\x89PNG")
