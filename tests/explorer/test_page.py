"""The document: well-formed, nothing from elsewhere, and a policy that its own scripts and styles satisfy."""

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import pytest
import torch

import genmod
from genmod.data.dataset import Batch, TensorSplit
from genmod.explorer import page, scene, standalone
from genmod.explorer.program import Graph

PAGE = sys.modules["genmod.explorer.page"]
VOID = {"meta", "link", "input"}


class Reader(HTMLParser):
    """Elements, their attributes, what is left open, and the text of scripts and styles."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), f"an attribute twice: {tag}"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.texts.append((self.open[-1], self.elements[-1][1], data))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return genmod.build(encoder="mlp", data="digits", latent=3).eval()


@pytest.fixture(scope="module")
def plain(model):
    x = torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8)
    return scene(model, TensorSplit(Batch(x, torch.arange(40) % 10)), name="a <b> & </script>")


def test_the_document_is_well_formed(plain):
    document = page(plain).document
    reader = Reader()
    reader.feed(document)
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in reader.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert attributes.get(name, ids[0]) in ids
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("src") is None
        assert attributes.get("href", "data:,") == "data:,"


def test_the_document_is_valid_html5(plain):
    html5lib = pytest.importorskip("html5lib", reason="html5lib is not installed")
    parser = html5lib.HTMLParser()
    parser.parse(page(plain).document)
    assert parser.errors == []


def nothing(size):
    """Stands for the graph of a network of that many weights; tracing one takes a second."""
    return Graph((), (torch.zeros(size),), (("alias", [{"at": 0}]),), 1)


@pytest.fixture
def graphs(monkeypatch):
    monkeypatch.setattr(PAGE, "decoder_graph", lambda model: nothing(100))
    monkeypatch.setattr(PAGE, "encoder_graph", lambda model: nothing(50))


@pytest.mark.parametrize("alone", [False, True])
def test_the_policy_allows_its_own_scripts_and_nothing_else(plain, model, graphs, alone):
    made = standalone(model, plain)[0] if alone else page(plain)
    reader = Reader()
    reader.feed(made.document)
    for tag, attributes, text in reader.texts:
        if attributes.get("type") in ("application/json", "text/plain"):
            continue
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        directive = next(part for part in made.policy.split("; ") if part.startswith(f"{tag}-src"))
        assert f"'sha256-{digest}'" in directive
    assert made.policy.startswith("default-src 'none'")
    assert not re.search(r"unsafe|\*|https?:", made.policy)
    assert ("connect-src" in made.policy) is not alone
    in_document = next(a["content"] for tag, a in reader.elements if a.get("http-equiv"))
    assert in_document == made.policy


def test_what_is_said_of_a_model_is_data(plain):
    document = page(plain).document
    assert "<b>" not in document
    assert "a &lt;b&gt; &amp; &lt;/script&gt;" in document
    found = re.search(r'<script type="application/json" id="scene">(.*?)</script>', document, re.DOTALL)
    assert json.loads(found[1]) == plain


def test_scene_of_a_model(plain, model):
    assert plain["data"]["shape"] == [1, 8, 8]
    assert [len(value["values"]) for value in plain["colours"]] == [10]
    codes = torch.frombuffer(bytearray(base64.b64decode(plain["codes"])), dtype=torch.float32).reshape(-1, 3)
    assert len(codes) == 40
    activities = [slider["activity"] for slider in plain["latent"]["sliders"]]
    assert activities == sorted(activities, reverse=True)
    for slider in plain["latent"]["sliders"]:
        values = codes[:, slider["dimension"]]
        inside = (values >= slider["low"]) & (values <= slider["high"])
        assert inside.float().mean() >= 0.95
        # The prior is N(0, 1): a value that says nothing of the data can still be moved.
        assert slider["high"] - slider["low"] > 2


def test_the_planes_are_what_they_are_called(plain):
    def read(text):
        return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.float32)

    codes = read(plain["codes"]).reshape(-1, 3)
    principal, active = plain["maps"]
    axes = torch.stack([read(axis) for axis in principal["axes"]])
    torch.testing.assert_close(axes @ axes.T, torch.eye(2), atol=1e-5, rtol=0)
    centred = codes - codes.mean(0)
    exact = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close(axes.abs(), exact.Vh[:2].abs(), atol=1e-3, rtol=0)
    share = exact.S[:2].square().sum() / exact.S.square().sum()
    assert f"{share:.0%}" in principal["name"]
    best = sorted(slider["dimension"] for slider in plain["latent"]["sliders"][:2])
    assert active["labels"] == [f"z{d}" for d in best]
    for axis, d in zip(active["axes"], best, strict=True):
        assert torch.equal(read(axis), torch.eye(3)[d])


def test_latents_of_a_shape_and_more_dimensions_than_examples():
    model = genmod.build(encoder="mlp", data="digits", latent=(2, 4, 4)).eval()
    x = torch.randint(0, 17, (10, 1, 8, 8), dtype=torch.uint8)
    found = scene(model, TensorSplit(Batch(x)), name="shape")
    assert found["maps"][1]["labels"][0].count(",") == 2
    axes = [
        torch.frombuffer(bytearray(base64.b64decode(a)), dtype=torch.float32)
        for a in found["maps"][0]["axes"]
    ]
    assert torch.stack(axes).norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-4)
    assert found["colours"] == []


def test_without_examples_there_are_draws(model):
    found = scene(model, None, name="prior")
    assert not found["examples"]
    with pytest.raises(genmod.UndefinedError):
        scene(genmod.build("autoencoder", encoder="mlp", data="digits", latent=2).eval(), None, name="none")


@pytest.mark.parametrize(("half", "wide"), [(False, 4), (True, 2)])
def test_weights_that_are_too_many_are_refused(plain, model, graphs, monkeypatch, half, wide):
    monkeypatch.setattr(PAGE, "_MOST_BYTES", 100 * wide - 1)
    with pytest.raises(genmod.UndefinedError, match="MB of weights") as refused:
        standalone(model, plain, half=half)
    assert "--half" in refused.value.hint
    monkeypatch.setattr(PAGE, "_MOST_BYTES", 149 * wide)
    made, reason = standalone(model, plain, half=half)
    assert "encoder" in reason
    assert '"decode": {' in made.document
    assert '"encode": {' not in made.document
    monkeypatch.setattr(PAGE, "_MOST_BYTES", 150 * wide)
    made, reason = standalone(model, plain, half=half)
    assert reason == ""
    assert '"encode": {' in made.document
