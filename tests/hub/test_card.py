"""The card of a model: its numbers with their errors, pictures made anew, and lines that load it."""

import io
import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import genmod
from genmod.figures import sample_grid
from genmod.hub import push
from genmod.hub.card import _block, card_text
from genmod.hub.measured import Measured
from genmod.hub.wishes import CardWishes

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # in huggingface_hub

MLP = {"name": "mlp", "hidden": [4]}
KINDS = {
    "images": lambda: genmod.build(encoder=MLP, latent=2),
    "whole": lambda: genmod.build(model="flow"),
    "no prior": lambda: genmod.build("autoencoder", encoder=MLP, latent=2),
    "conditional": lambda: genmod.build("cvae", encoder=MLP, latent=2),
    "given": lambda: genmod.build(encoder=MLP, latent=2, data=torch.rand(50, 3)),
}


def loading(text):
    """The Python lines of a card that load its model."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return code


@pytest.mark.parametrize(
    "kind", ["images", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "images")]
)
def test_the_lines_that_load_it_work(hub, kind):
    model = KINDS[kind]()
    done = push(model, f"me/{kind.replace(' ', '-')}", CardWishes(metrics=() if kind != "images" else "elbo"))
    names = {}
    exec(compile(loading(done.card), kind, "exec"), names)
    assert names["x"].shape == (4, *model.data.shape)
    assert names["model"].state_dict().keys() == model.state_dict().keys()
    if "samples/samples.png" in done.files:
        assert names["x"].equal(model.sample(4, seed=0))
    assert hub.files(done.repository)["README.md"].decode() == done.card


def test_the_library_reads_its_metadata(hub, small):
    wishes = CardWishes(
        license="cc-by-4.0", metrics=["elbo", "active-units"], seed=3, intended_use="To *look* at."
    )
    done = push(small, "me/digits", wishes)
    from huggingface_hub import ModelCard

    card = ModelCard(done.card)
    assert (card.data.library_name, card.data.license) == ("genmod", "cc-by-4.0")
    assert (card.data.pipeline_tag, card.data.model_name) == ("unconditional-image-generation", "digits")
    measured = genmod.evaluate(small, genmod.open_dataset(small.spec), ["elbo", "active-units"], seed=3)
    found = {each.metric_type: each for each in card.data.eval_results}
    assert set(found) == {row.name for row in measured.rows} > {"elbo", "bits_per_dim"}
    for row in measured.rows:
        each = found[row.name]
        assert each.metric_value == row.value
        assert each.metric_args["examples"] == row.n
        assert each.metric_args.get("standard_error", -1) == (
            row.standard_error if row.standard_error == row.standard_error else -1
        )
        assert (each.dataset_type, each.dataset_split) == ("digits", "test")
        assert f"| {row.value:.4g} | {row.standard_error:.2g} |".replace("nan", "unknown") in card.text
    assert "To *look* at." in card.text
    assert "`cc-by-4.0`" in card.text
    # Written anew from what was read, it says the same.
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()


def test_pictures_are_made_anew(hub, command, small):
    place = genmod.save(small, "model")
    (place / "samples").mkdir()
    for name in ("samples", "reconstructions"):
        (place / "samples" / f"{name}.png").write_bytes(b"what lies in the folder")
    assert command("push", "model", "me/model", "--seed", "3")[0] == 0
    files = hub.files("me/model")
    sample_grid(small, 4, seed=3).save(Path("wanted.png"))
    assert files["samples/samples.png"] == Path("wanted.png").read_bytes()
    with Image.open(io.BytesIO(files["samples/reconstructions.png"])) as drawn:
        assert min(drawn.size) > 200
    for name in ("samples/samples.png", "samples/reconstructions.png"):
        assert f"]({name})" in files["README.md"].decode()


def test_without_data_the_card_says_so(hub, command, tmp_path):
    """And gives no path away."""
    import numpy as np

    place = tmp_path / "hidden place" / "x.npz"
    place.parent.mkdir()
    np.savez(place, x=np.random.default_rng(0).random((40, 3)))
    genmod.save(genmod.build(data=str(place), encoder=MLP, latent=2), "model")
    place.unlink()
    code, out, _ = command("push", "model", "me/table", "--json")
    assert code == 0
    document = json.loads(out)
    assert "hidden place" in document["missing"]["numbers"]
    card = hub.files("me/table")["README.md"].decode()
    assert "None were measured" in card
    assert "hidden place" not in card
    assert "model-index" not in card
    assert set(document["files"]) & {"samples/samples.png", "samples/reconstructions.png"} == {
        "samples/samples.png"
    }


def test_names_of_others_are_no_markup(small, tmp_path):
    genmod.save(small, tmp_path / "model")
    row = genmod.Row("a|b<script>", 1.0, float("nan"), 3, "", "[x](javascript:y)\n# head")
    seen = Measured(genmod.Evaluation((row,), {}), {})
    text = card_text(small, tmp_path / "model", "me/<b>", seen, CardWishes())
    assert r"| a\|b\<script\> | 1 | unknown |" in text
    assert r"\[x\](javascript:y) \# head" in text
    assert r"# \<b\>" in text


def test_code_in_a_card_does_not_end_its_block():
    lines = list(_block("bash", "genmod build -s dataset.path='a\n```\n# head <b>\x1b\u202e[0m````'"))
    assert lines == ["`````bash", "genmod build -s dataset.path='a\n```\n# head <b> [0m````'", "`````"]
