"""Drawing and dropping, examples beside what is decoded, tiles under the map: in a browser, on all kinds of data."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import genmod
from genmod.data.dataset import Batch, DataInfo, TensorSplit
from genmod.explorer import scene, standalone
from genmod.model.assembly import assemble, open_dataset
from genmod.model.build import compose

_spec = importlib.util.spec_from_file_location("test_browser", Path(__file__).parent / "test_browser.py")
_browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_browser)
visit, drop = _browser.visit, _browser.drop

SEVEN = ((70, 60), (210, 60), (150, 140), (120, 230))


@pytest.fixture
def explored(tmp_path, visit):
    """A page by itself, of a model and examples."""

    def make(model, split, **options):
        page, _ = standalone(model, scene(model, split, name="model"))
        path = tmp_path / "page.html"
        path.write_text(page.document, encoding="utf-8")
        return visit(path.as_uri(), **options)

    return make


def draw(page, points=SEVEN, *, size=1.0):
    """A line on the pad, of points in its own pixels."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    k = box["width"] / 280
    frame = page.get_attribute("#again", "data-frame")
    places = [
        (box["x"] + k * (140 + size * (x - 140)), box["y"] + k * (140 + size * (y - 140))) for x, y in points
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()
    page.wait_for_function(
        "f => document.getElementById('again').dataset.frame !== (f ?? undefined)", arg=frame
    )
    page.wait_for_timeout(300)


def seen(page, place="#seen"):
    """What a canvas shows, ``(height, width, 3)``, from 0 to 1."""
    width, height, numbers = page.eval_on_selector(
        f"{place} canvas",
        "c => [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]",
    )
    return torch.tensor(numbers).reshape(height, width, 4)[..., :3] / 255


def box_of(picture, ground=0.0):
    """Rows and columns of the shape, first and last."""
    strong = (picture - ground).abs().amax(2)
    inside = strong > 0.3 * strong.max()
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    return [int(v) for v in (rows[0], rows[-1], columns[0], columns[-1])]


def trained(recipe, data, steps=60, **settings):
    torch.manual_seed(0)
    model = genmod.build(recipe, data=data, encoder="mlp", latent=2, **settings)
    if steps:
        genmod.train(model, steps=steps, device="cpu")
    return model.eval(), open_dataset(model.spec).split("test")


def narrow(page, artefacts, name):
    """Nothing stands over the edges of a telephone."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    beyond = page.eval_on_selector_all(
        "main *", "all => all.filter(e => e.getBoundingClientRect().right > 391).map(e => e.id || e.tagName)"
    )
    assert beyond == []
    page.screenshot(path=artefacts / f"explorer-{name}-390.png", full_page=True)


@pytest.mark.slow
def test_a_digit_drawn_is_like_digits_of_eight_pixels(explored, artefacts):
    page = explored(*trained("vae", "digits"))
    draw(page)
    large = seen(page)
    top, bottom, left, right = box_of(large)
    # Digits of these data fill the height, and less of the width.
    assert (top, bottom) == (0, 7)
    assert right - left + 1 in (5, 6, 7)
    assert large.max() > 0.85
    page.click("#clear")
    draw(page, size=0.4)
    # However small it was drawn.
    assert (seen(page) - large).abs().mean() < 0.06
    page.screenshot(path=artefacts / "explorer-digits.png", full_page=True)
    narrow(page, artefacts, "digits")


@pytest.mark.slow
def test_the_pad_forgets(explored):
    page = explored(*trained("vae", "digits", steps=0))
    page.evaluate(
        """() => { window.rows = (n) => Array.from(
          document.getElementById("pad").getContext("2d").getImageData(0, 0, 280, n).data).filter((v, i) => i % 4 < 3); }"""
    )
    empty = "() => rows(280).every((v) => v === 0)"
    assert page.evaluate(empty)
    draw(page)
    assert not page.evaluate(empty)
    assert page.locator("#encode.stale").count() == 0
    draw(page, ((60, 200), (200, 200)))
    assert page.evaluate("() => document.querySelectorAll('#encode.stale').length") == 0
    page.locator(".slider input").first.press("End")
    assert page.locator("#encode.stale").count() == 1
    # A stroke after the page has moved on begins a new drawing: the seven is gone.
    draw(page, ((60, 200), (200, 200)))
    assert page.locator("#encode.stale").count() == 0
    assert page.evaluate("() => Math.max(...rows(100))") == 0
    for act in (lambda: page.click("#clear"), lambda: page.keyboard.press("r")):
        draw(page)
        act()
        assert page.evaluate(empty)
        assert page.locator("#pair.empty").count() == 1
    drop(page, 90)
    page.wait_for_function("() => !document.getElementById('pair').classList.contains('empty')")
    draw(page)
    # What was dropped makes room for what is drawn.
    assert page.evaluate("() => Math.max(...rows(20))") == 0


@pytest.mark.slow
def test_examples_stand_beside_what_is_decoded_and_on_the_map(explored, artefacts):
    model, split = trained("vae", "digits")
    page = explored(model, split)
    shown = page.evaluate("examples.count")
    # The decoded picture of an example of this page is nearest to what is nearest by arithmetic.
    z, place = page.evaluate("[Array.from(state.z), nearestOne]")
    chosen = torch.tensor([page.evaluate("i => Array.from(examples.values(i))", i) for i in range(shown)])
    with torch.no_grad():
        mean = model.decode(torch.tensor([z])).mean.flatten()
    assert int((chosen - mean).square().sum(1).argmin()) == place
    assert "label" in page.inner_text("#nearest-note")
    page.click("#nearest-box")
    page.wait_for_function("() => state.z.every((v, d) => Math.abs(v - CODES[nearestOne][d]) < 10)")
    # Two numbers: tiles are there at once, and can be taken away.
    page.wait_for_function("() => Number(document.getElementById('map-box').dataset.tiles) > 40")
    with_tiles = page.eval_on_selector("#map", "c => c.toDataURL()")
    page.screenshot(path=artefacts / "explorer-tiles.png", full_page=True)
    page.uncheck("#tiles")
    assert page.eval_on_selector("#map", "c => c.toDataURL()") != with_tiles
    box = page.locator("#map").bounding_box()
    x, y = page.evaluate("() => map.onScreen(3)")
    page.mouse.move(box["x"] + x, box["y"] + y)
    assert page.locator("#tip").inner_text().startswith("label ")
    hovered = seen(page, "#tip-picture")[..., 0]
    best = (chosen.reshape(shown, 8, 8) - hovered).abs().amax((1, 2))
    assert best.min() < 0.01


@pytest.mark.slow
def test_conditional_models_are_given_the_label_asked_for(explored, artefacts):
    # Without draws of binary values, what is encoded is what is seen.
    model, split = trained("cvae", "digits", settings={"decoder.binarize": "none"})
    page = explored(model, split)
    page.select_option("#own-conditions select", "7")
    draw(page)
    assert page.input_value("#conditions select") == "7"
    values = seen(page)[..., 0].reshape(1, 1, 8, 8)

    def code(label):
        context = torch.nn.functional.one_hot(torch.tensor([label]), 10).float()
        with torch.no_grad():
            return model.encode(values, context).mean[0]

    def here():
        return torch.tensor(page.evaluate("Array.from(state.z)"))

    torch.testing.assert_close(here(), code(7), atol=0.02, rtol=0.02)
    frame = page.get_attribute("#again", "data-frame")
    page.select_option("#own-conditions select", "2")
    page.wait_for_function("f => document.getElementById('again').dataset.frame !== f", arg=frame)
    page.wait_for_timeout(300)
    torch.testing.assert_close(here(), code(2), atol=0.02, rtol=0.02)
    # Beside the picture, the same latent is given another label instead.
    before = here()
    page.select_option("#conditions select", "4")
    page.wait_for_timeout(300)
    assert torch.equal(here(), before)
    assert page.input_value("#own-conditions select") == "4"
    page.screenshot(path=artefacts / "explorer-conditional.png", full_page=True)
    narrow(page, artefacts, "conditional")


@pytest.mark.slow
@pytest.mark.skipif("GENMOD_DATA" not in os.environ, reason="GENMOD_DATA names no folder of data")
def test_drawn_and_dropped_digits_are_like_those_of_mnist(explored, artefacts):
    torch.manual_seed(0)
    model = genmod.build("vae", data="mnist", encoder="mlp", latent=8)
    model = assemble(model.spec, model.data).eval()
    split = open_dataset(model.spec, Path(os.environ["GENMOD_DATA"])).split("test")
    page = explored(model, split)
    draw(page, size=0.6)
    top, bottom, left, right = box_of(seen(page))
    assert max(bottom - top, right - left) + 1 == pytest.approx(20, abs=1)
    strong = seen(page)[..., 0]
    middle = [float((strong.sum(1 - d) * (torch.arange(28) + 0.5)).sum() / strong.sum()) for d in (0, 1)]
    assert middle == pytest.approx([14, 14], abs=1)
    stored = model.data.values(split.__getitems__(list(range(300))).x).mean()
    assert strong.mean() == pytest.approx(float(stored), rel=0.6)
    drawn = strong
    # The same on paper: dark on light, small and aside, is turned round, enlarged and centred.
    page.evaluate(
        """async (points) => {
          const c = new OffscreenCanvas(600, 400), g = c.getContext("2d");
          g.fillStyle = "#eee"; g.fillRect(0, 0, 600, 400); g.strokeStyle = "#333"; g.lineWidth = 16; g.lineCap = "round";
          g.beginPath(); points.forEach(([x, y], i) => g[i ? "lineTo" : "moveTo"](300 + 0.6 * x, 40 + 0.6 * y)); g.stroke();
          const given = new DataTransfer();
          given.items.add(new File([await c.convertToBlob()], "seven.png", {type: "image/png"}));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: given, bubbles: true, cancelable: true}));
        }""",
        [list(point) for point in SEVEN],
    )
    page.wait_for_function("() => document.getElementById('invert').checked")
    page.wait_for_timeout(500)
    assert (seen(page)[..., 0] - drawn).abs().mean() < 0.06
    page.screenshot(path=artefacts / "explorer-mnist.png", full_page=True)
    narrow(page, artefacts, "mnist")


@pytest.mark.slow
def test_colour_pictures_are_drawn_in_their_colours(explored, artefacts):
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:32, :32]
    x = np.full((80, 3, 32, 32), 250)
    for i in range(80):
        ring = abs(np.hypot(down - 16 - rng.integers(-2, 3), across - 16 - rng.integers(-2, 3)) - 9) < 2
        x[i][:, ring] = np.array([200, 40, 40])[:, None]
    data = DataInfo((3, 32, 32), levels=256, classes=("a", "b"))
    torch.manual_seed(0)
    model = assemble(
        compose("vae", components={"encoder": "mlp", "decoder": "gaussian"}, latent=4), data
    ).eval()
    batch = Batch(torch.from_numpy(x).to(torch.uint8), torch.arange(80) % 2)
    page = explored(model, TensorSplit(batch))
    assert page.input_value("#pen") == "#c82828"
    draw(page)
    picture = seen(page)
    assert picture[0, 0].tolist() == pytest.approx([250 / 255] * 3, abs=0.02)
    top, bottom, left, right = box_of(picture, 250 / 255)
    assert max(bottom - top, right - left) + 1 == pytest.approx(22, abs=3)
    inside = (picture[..., 1] - 40 / 255).abs() < 0.1
    assert inside.sum() > 20
    assert (picture[..., 0][inside] - 200 / 255).abs().max() < 0.15
    page.evaluate("() => { document.getElementById('pen').value = '#0000ff'; }")
    draw(page, ((60, 140), (220, 140)))
    assert ((seen(page) - torch.tensor([0.0, 0.0, 1.0])).abs().amax(2) < 0.2).sum() > 5
    page.screenshot(path=artefacts / "explorer-colour-drawn.png", full_page=True)
    narrow(page, artefacts, "colour")


@pytest.mark.slow
def test_each_column_of_a_table_has_a_scale_of_its_own(explored, artefacts):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(90, 3)) * [1, 1000, 0.01] + [0, 5000, 0]).float()
    x[3, 1] = float("nan")
    data = DataInfo((3,), -np.inf, np.inf, missing=True, variables=("small", "large", "tiny"))
    torch.manual_seed(0)
    model = assemble(
        compose("vae", components={"encoder": "mlp", "decoder": "gaussian"}, latent=2), data
    ).eval()
    with torch.no_grad():
        list(model.network.parameters())[-1].copy_(torch.tensor([1.0, 5000.0, 0.01]))
    page = explored(model, TensorSplit(Batch(x)))
    assert page.locator("#picture .bars dt").all_inner_texts() == ["small", "large", "tiny"]
    widths = page.eval_on_selector_all(
        "#picture .bars i",
        "all => all.map(i => i.firstChild.getBoundingClientRect().width / i.getBoundingClientRect().width)",
    )
    lows, highs = (x.nan_to_num(5000.0).quantile(q, 0) for q in (0.01, 0.99))
    shown = [float(t) for t in page.locator("#picture .bars output").all_inner_texts()]
    for width, value, low, high in zip(widths, shown, lows.tolist(), highs.tolist(), strict=True):
        assert width == pytest.approx(min(1, max(0, (value - low) / (high - low))), abs=0.1)
    assert page.locator("#picture .other").count() == 3
    assert all(page.locator("#picture .other").all_inner_texts())
    assert page.locator("#tiles-label").is_hidden()
    narrow(page, artefacts, "table")
