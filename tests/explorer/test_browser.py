"""The page in a real browser, served and in one file: whatever a visitor does changes the picture, and nothing leaks."""

import dataclasses
import math
import threading
import time

import pytest
import torch

import genmod
from genmod.data.dataset import Batch, DataInfo, TensorSplit
from genmod.explorer import bind, explorer_app, make_server, scene, standalone
from genmod.model.assembly import assemble
from genmod.model.build import compose

EVIL = "<script>window.stolen = 1</script>"
NAME = "</script><img src=x onerror='window.stolen = 1'>"
HALF_A_LEVEL = 0.51
"""A picture has 256 levels; what is rounded to one of them is at most half of one away, and rounding."""


def strong(model):
    """Weights so large that every latent shows."""
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(2.5)
    return model.eval()


@pytest.fixture(scope="module")
def examples():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(60, 1, 8, 8, generator=generator).mul(17).to(torch.uint8).clamp(max=16)
    return TensorSplit(Batch(x, labels=torch.arange(60) % 10))


@pytest.fixture(scope="module")
def model():
    """Conditional, on classes whose names are markup."""
    torch.manual_seed(0)
    made = strong(genmod.build("cvae", encoder="mlp", data="digits", latent=4))
    classes = (EVIL, "&amp;", *map(str, range(2, 10)))
    made.data = dataclasses.replace(made.data, classes=classes)
    made.conditions.values["label"] = classes
    return made


@pytest.fixture(scope="module")
def served(model, examples):
    """The address of a server in a thread."""
    listening = bind()
    port = listening.getsockname()[1]
    server = make_server(explorer_app(model, examples, name=NAME, token="secret", port=port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/?token=secret"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture(scope="module")
def exported(model, examples, tmp_path_factory):
    page, reason = standalone(model, scene(model, examples, name=NAME))
    assert reason == ""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page.document, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser):
    """Open a page that is checked for errors and for what it asked for, at the end of the test."""
    pages, wrong, asked = [], [], []

    def open_page(url, **options):
        page = browser.new_page(viewport={"width": 1280, "height": 1100}, **options)
        page.set_default_timeout(120_000)
        pages.append(page)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("#strip[data-frame]")
        page.wait_for_selector("#picture[data-frame]")
        origin = url.split("/?")[0]
        yield_to[0] = origin
        return page

    yield_to = [""]
    yield open_page
    for page in pages:
        page.close()
    assert wrong == []
    allowed = (
        (yield_to[0], "blob:", "data:") if yield_to[0].startswith("http") else ("file:", "blob:", "data:")
    )
    assert [url for url in asked if not url.startswith(allowed)] == []
    assert asked


def picture(page, place="#picture"):
    return page.eval_on_selector(f"{place} canvas", "c => c.toDataURL()")


def changes(page, act, place="#picture"):
    """Do something, wait until a new picture is shown, and say whether it is another one."""
    before = page.eval_on_selector(place, "p => p.dataset.frame ?? ''")
    old = picture(page, place) if before else None
    act()
    page.wait_for_function(
        "([p, old]) => (document.querySelector(p).dataset.frame ?? '') !== old", arg=[place, before]
    )
    # Several moves may follow each other.
    page.wait_for_timeout(60)
    return picture(page, place) != old


def drop(page, width=40):
    """Drop a picture file of a white ring on black."""
    page.evaluate(
        """async (n) => {
          const c = new OffscreenCanvas(n, n), g = c.getContext("2d");
          g.fillRect(0, 0, n, n); g.strokeStyle = "#fff"; g.lineWidth = n / 8;
          g.beginPath(); g.arc(n / 3, n / 2, n / 5, 0, 7); g.stroke();
          const given = new DataTransfer();
          given.items.add(new File([await c.convertToBlob()], "ring.png", {type: "image/png"}));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: given, bubbles: true, cancelable: true}));
        }""",
        width,
    )


def exercise(page):
    """Everything that a visitor can do."""
    slider = page.locator(".slider input").first
    number = page.locator(".slider output").first
    old = number.inner_text()
    assert changes(page, lambda: slider.press("PageUp"))
    assert number.inner_text() != old
    assert changes(page, lambda: slider.press("End"))
    box = page.locator("#map").bounding_box()
    corner = box["x"] + 4, box["y"] + box["height"] - 4
    assert changes(page, lambda: page.mouse.click(*corner))

    def drag():
        page.mouse.down()
        page.mouse.move(corner[0] + 150, corner[1] - 120, steps=3)
        page.mouse.up()

    assert changes(page, drag)
    page.focus("#map")
    assert changes(page, lambda: page.keyboard.press("Shift+ArrowLeft"))
    assert changes(page, lambda: page.keyboard.press("Shift+ArrowUp"))
    assert changes(page, lambda: page.keyboard.press("Enter"))
    assert changes(page, lambda: page.keyboard.press("n"))
    assert changes(page, lambda: page.click("#reset"))
    start = picture(page)
    assert changes(page, lambda: page.locator(".step").nth(6).click())
    assert changes(page, lambda: page.locator("#walk").press("PageDown"))
    assert changes(page, lambda: page.keyboard.press("r"))
    assert picture(page) == start
    assert changes(page, lambda: drop(page), "#again")
    assert changes(page, lambda: page.check("#invert"), "#seen")
    pad = page.locator("#pad").bounding_box()
    page.mouse.move(pad["x"] + 60, pad["y"] + 40)
    page.mouse.down()
    assert changes(page, lambda: page.mouse.move(pad["x"] + 120, pad["y"] + 160, steps=4), "#again")
    page.mouse.up()


def decoded_here(model, page):
    """What PyTorch decodes at the place where the page is, as grey levels."""
    z = page.evaluate("Array.from(state.z)")
    given = page.evaluate("state.given")
    context = torch.nn.functional.one_hot(torch.tensor(given), 10).float()
    with torch.no_grad():
        mean = model.decode(torch.tensor([z]), context).mean
    return (255 * mean).flatten()


def shown_here(page):
    return torch.tensor(
        page.eval_on_selector(
            "#picture canvas",
            "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).filter((_, i) => i % 4 === 0)",
        ),
        dtype=torch.float32,
    )


def difference(page, model):
    """How far the picture is from what PyTorch decodes there, in grey levels, once the page has come to rest."""
    for _ in range(1000):
        found = (shown_here(page) - decoded_here(model, page)).abs().max().item()
        if found < HALF_A_LEVEL:
            break
        page.wait_for_timeout(50)
    return found


@pytest.mark.parametrize("kind", ["served", pytest.param("exported", marks=pytest.mark.slow)])
def test_everything_in_the_page_works(kind, request, visit, model, artefacts):
    page = visit(request.getfixturevalue(kind))
    assert page.inner_text("#name") == NAME
    assert page.title() == f"{NAME} · genmod"
    assert EVIL in page.locator("#legend").inner_text()
    assert page.locator("#conditions option").first.text_content() == EVIL
    exercise(page)
    assert difference(page, model) < HALF_A_LEVEL
    before = picture(page)
    assert changes(page, lambda: page.select_option("#conditions select", "7"))
    assert picture(page) != before
    assert difference(page, model) < HALF_A_LEVEL
    assert page.evaluate("window.stolen") is None
    page.screenshot(path=artefacts / f"explorer-{kind}.png", full_page=True)


def test_the_map_says_what_a_point_is(visit, exported, artefacts):
    page = visit(exported, color_scheme="dark")
    page.set_viewport_size({"width": 420, "height": 900})
    page.focus("#map")
    page.keyboard.press("Enter")
    assert page.locator("#tip").inner_text().startswith("label ")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#tip").is_hidden()
    box = page.locator("#map").bounding_box()
    for i in range(40):
        page.mouse.move(box["x"] + box["width"] * (0.3 + 0.01 * i), box["y"] + box["height"] * 0.5)
        if page.locator("#tip").is_visible():
            break
    assert page.locator("#tip").inner_text().startswith("label ")
    # Nothing stands over the edge of a narrow window.
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.screenshot(path=artefacts / "explorer-narrow-dark.png", full_page=True)


def test_a_page_alone_decodes_encodes_and_draws(visit, exported, model):
    page = visit(exported)
    assert EVIL in page.locator("#legend").inner_text()
    assert changes(page, lambda: page.locator(".slider input").first.press("End"))
    assert difference(page, model) < HALF_A_LEVEL
    assert changes(page, lambda: page.keyboard.press("n"))
    assert changes(page, lambda: drop(page), "#again")
    assert difference(page, model) < HALF_A_LEVEL
    assert page.evaluate("window.stolen") is None


@pytest.mark.slow
def test_a_server_that_has_gone_is_named(visit, served):
    page = visit(served)
    page.evaluate("() => { window.fetch = () => Promise.reject(new Error('gone')); }")
    page.locator(".slider input").first.press("End")
    page.wait_for_function("document.getElementById('status').textContent !== ''")
    assert "still running" in page.locator("#status").inner_text()


TABLE = DataInfo((7,), low=-math.inf, high=math.inf, classes=("a", "b"))
COLOUR = DataInfo((3, 12, 9), levels=256, classes=("a", "b"))
FIVE = DataInfo((5, 12, 9), levels=256)
DIGITS = DataInfo((1, 8, 8), levels=2, classes=("a", "b"))


@pytest.fixture
def alone(tmp_path):
    """The address of a page by itself, of a model of data like these."""

    def make(data, recipe="vae", latent=4, settings=None, **components):
        spec = compose(recipe, components=components, latent=latent, settings=settings or {})
        model = strong(assemble(spec, data))
        stored = torch.randint(0, data.levels or 2, (60, *data.shape), dtype=torch.uint8)
        x = stored if data.levels else torch.randn(60, *data.shape)
        labels = torch.arange(60) % 2 if data.classes else None
        page, _ = standalone(model, scene(model, TensorSplit(Batch(x, labels)), name=recipe))
        path = tmp_path / "page.html"
        path.write_text(page.document, encoding="utf-8")
        return path.as_uri()

    return make


def latent(page):
    return torch.tensor(page.evaluate("Array.from(state.z)"), dtype=torch.float32)


@pytest.mark.slow
def test_latents_of_a_sphere_stay_on_it(visit, alone):
    page = visit(alone(DIGITS, encoder="mlp", posterior="power-spherical", prior="uniform-sphere"))
    assert page.input_value("#path") == "spherical"
    slider = page.locator(".slider input").first
    for key in ("End", "PageDown", "Home"):
        assert changes(page, lambda key=key: slider.press(key))
        z = latent(page)
        assert z.norm() == pytest.approx(1, abs=1e-5)
        # The slider stays where it was put, and the others make room, unless that is beyond the sphere.
        wanted = min(1.0, max(-1.0, float(slider.input_value())))
        assert float(z[int(slider.get_attribute("id").removeprefix("slider-"))]) == pytest.approx(
            wanted, abs=0.01
        )
    page.focus("#map")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
        assert latent(page).norm() == pytest.approx(1, abs=1e-5)
    page.locator(".step").nth(4).click()
    assert latent(page).norm() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_latents_of_a_ball_stay_inside(visit, alone):
    page = visit(alone(DIGITS, "pvae", latent=2, encoder="mlp"))
    page.evaluate("moveTo([3, 4])")
    z = latent(page)
    assert 0.9 < z.norm() < 1
    assert z[1] / z[0] == pytest.approx(4 / 3, abs=1e-4)
    assert page.locator("#encode").is_hidden()
    assert "no encoder" in page.inner_text("#encode-note")


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False])
def test_classes_are_chosen(visit, alone, exact, artefacts):
    options = {"posterior.straight_through": True} if exact else {}
    prior, divergence = ("categorical", "kl") if exact else ("relaxed-categorical", "kl-mc")
    url = alone(
        DIGITS,
        encoder="mlp",
        posterior="relaxed-categorical",
        prior=prior,
        divergence=divergence,
        latent=(3, 4),
        settings=options,
    )
    page = visit(url)
    selects = page.locator("#choices select")
    assert selects.count() == 3
    assert page.locator(".slider").count() == (0 if exact else 12)
    for choice in ("0", "3"):
        selects.nth(1).select_option(choice)
    assert latent(page)[4:8].tolist() == [0, 0, 0, 1]
    page.locator(".step").nth(4).click()
    z = latent(page).reshape(3, 4)
    torch.testing.assert_close(z.sum(1), torch.ones(3))
    if exact:
        assert z.max(1).values.tolist() == [1, 1, 1]
    else:
        page.locator(".slider input").first.press("End")
        torch.testing.assert_close(latent(page).reshape(3, 4).sum(1), torch.ones(3))
        assert latent(page).max() == 1
    page.screenshot(path=artefacts / f"explorer-classes-{exact}.png", full_page=True)


@pytest.mark.slow
@pytest.mark.parametrize("heads", [1, 2])
def test_codes_are_chosen(visit, alone, heads, artefacts):
    """Whatever is done, the latents stay entries of the codebook."""
    torch.manual_seed(0)
    url = alone(
        DIGITS,
        encoder="mlp",
        posterior="vq",
        prior="categorical",
        latent=(3, 4),
        settings={"posterior.codes": 5, "posterior.heads": heads},
    )
    page = visit(url)
    selects = page.locator("#choices select")
    assert selects.count() == 3 * heads
    assert page.locator(".slider").count() == 0
    parts = {}
    for k in range(5):
        selects.nth(1).select_option(str(k))
        z = latent(page).reshape(3 * heads, 4 // heads)
        parts[k] = tuple(z[1].tolist())
        assert selects.nth(1).input_value() == str(k)
    assert len(set(parts.values())) == 5
    before = latent(page)
    page.evaluate("z => moveTo(z)", (before + 0.01).tolist())
    assert torch.equal(latent(page), before)
    page.locator(".step").nth(4).click()
    z = latent(page)
    page.evaluate("z => moveTo(z)", z.tolist())
    assert torch.equal(latent(page), z)
    page.screenshot(path=artefacts / f"explorer-codes-{heads}.png", full_page=True)


@pytest.mark.slow
def test_tables_are_bars(visit, alone, artefacts):
    page = visit(alone(TABLE, encoder="mlp", decoder="gaussian"))
    assert page.locator("#picture .bars dt").count() == 7
    before = page.inner_text("#picture .bars")
    frame = page.get_attribute("#picture", "data-frame")
    page.locator(".slider input").first.press("End")
    page.wait_for_function("f => document.getElementById('picture').dataset.frame !== f", arg=frame)
    assert page.inner_text("#picture .bars") != before
    assert page.locator("#encode-panel").is_hidden()
    page.screenshot(path=artefacts / "explorer-table.png", full_page=True)


@pytest.mark.slow
def test_colours_and_other_numbers_of_channels(visit, alone, artefacts):
    page = visit(alone(COLOUR, encoder="conv", decoder="gaussian"))
    assert page.eval_on_selector("#picture canvas", "c => [c.width, c.height]") == [9, 12]
    assert changes(page, lambda: drop(page, 90), "#again")
    assert not page.is_checked("#centre")
    page.screenshot(path=artefacts / "explorer-colour.png", full_page=True)
    page = visit(alone(FIVE, encoder="conv", decoder="gaussian"))
    # Three channels across and two down, with a line between them.
    assert page.eval_on_selector("#picture canvas", "c => [c.width, c.height]") == [29, 25]
    assert page.locator("#encode-panel").is_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_an_autoencoder_has_no_samples(visit, alone, size):
    page = visit(alone(DIGITS, "autoencoder", latent=size, encoder="mlp", decoder="bernoulli"))
    assert page.locator("#draw").is_hidden()
    page.keyboard.press("n")
    assert page.locator("#plane-label").is_hidden()
    assert changes(page, lambda: page.locator(".slider input").first.press("End"))
    page.focus("#map")
    assert changes(page, lambda: page.keyboard.press("Shift+ArrowLeft"))


@pytest.mark.slow
def test_a_picture_is_made_small_and_inverted(visit, alone):
    data = DataInfo((1, 28, 28), levels=256)
    page = visit(alone(data, encoder="mlp", decoder="gaussian"))

    def seen():
        pixels = page.eval_on_selector(
            "#seen canvas", "c => Array.from(c.getContext('2d').getImageData(0, 0, 28, 28).data)"
        )
        return torch.tensor(pixels, dtype=torch.float32).reshape(28, 28, 4)[..., 0] / 255

    assert changes(page, lambda: drop(page, 200), "#again")
    ring = seen()
    weight = ring / ring.sum()
    place = torch.arange(28) + 0.5
    # The examples are noise, without a shape to fit it to: its middle stays at a third of the width.
    assert page.locator("#centre-label").is_hidden()
    assert (weight.sum(0) * place).sum() == pytest.approx(28 / 3, abs=0.6)
    assert changes(page, lambda: page.check("#invert"), "#again")
    torch.testing.assert_close(seen(), 1 - ring, atol=0.01, rtol=0)
