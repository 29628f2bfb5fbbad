"""A page as people see it: in Chromium, by day and by night, and on paper."""

import numpy as np
import pytest

import genmod
from genmod.report import report

EVIL = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page on images of the size of MNIST, whose classes are called what they should not be."""
    place = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:28, :28]
    centres = rng.uniform(8, 20, (90, 2, 1, 1))
    x = 255 * np.exp(-((row - centres[:, 0]) ** 2 + (column - centres[:, 1]) ** 2) / 30)
    np.savez(place / "data.npz", x=x[:, None].astype(np.uint8), y=np.array([EVIL, "b", "c"] * 30))
    model = genmod.build(
        encoder="mlp",
        decoder="gaussian",
        latent=4,
        settings={"encoder.hidden": [32]},
        data={"name": "npz", "path": str(place / "data.npz")},
    )
    genmod.train(model, directory=place / "blobs", steps=60, device="cpu", log_every=5)
    file = place / "report.html"
    file.write_text(report(place / "blobs", device="cpu"), encoding="utf-8")
    return file


def visit(browser, file, scheme):
    """An open page, and what it complained about or asked for."""
    page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme=scheme)
    found = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "data:")) or found.append(request.url)
    )
    page.goto(file.as_uri(), wait_until="load")
    return page, found


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_fails_and_nothing_is_asked_for(browser, artefacts, page_file, scheme):
    page, found = visit(browser, page_file, scheme)
    page.screenshot(path=artefacts / f"report-{scheme}.png", full_page=True)
    assert found == []
    assert "blobs – genmod report" in page.title()
    assert "taken" not in page.title()
    assert f"class {EVIL}" in page.locator("#reconstructions ~ .side").first.inner_text()
    # Every picture has been decoded, and is as large as it says.
    sizes = page.eval_on_selector_all("img", "all => all.map(i => [i.naturalWidth, i.clientWidth])")
    assert len(sizes) > 30
    assert all(natural > 0 and shown > 0 for natural, shown in sizes)
    # Nothing is wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth") <= 1180
    page.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_texts_can_be_read(browser, page_file, scheme):
    """Contrast of each text to what is behind it, as WCAG 2 measures it: at least 4.5."""
    page, _ = visit(browser, page_file, scheme)
    worst = page.evaluate(
        """() => {
        const numbers = text => text.match(/[\\d.]+/g).map(Number)
        const light = rgb => rgb.slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
        const behind = node => {
            for (; node; node = node.parentElement) {
                const rgb = numbers(getComputedStyle(node).backgroundColor)
                if (rgb.length < 4 || rgb[3] > 0) return rgb
            }
            return [255, 255, 255]
        }
        let worst = [99, ""]
        const texts = "h1, h2, p, a, td, th, li, figcaption, figcaption span, text, code, summary, small"
        for (const node of document.querySelectorAll(texts)) {
            if (!node.textContent.trim()) continue
            const style = getComputedStyle(node)
            const a = light(numbers(node.tagName == "text" ? style.fill : style.color)), b = light(behind(node))
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
            if (contrast < worst[0]) worst = [contrast, node.tagName + " " + node.textContent]
        }
        return worst
    }"""
    )
    page.close()
    assert worst[0] >= 4.5, worst


def test_drawings_of_a_size_are_shown_in_one_size(browser, page_file):
    """One that stands alone is not stretched over the page, and its text with it."""
    page, _ = visit(browser, page_file, "light")
    widths = page.eval_on_selector_all(".charts svg", "all => all.map(i => i.getBoundingClientRect().width)")
    assert len(widths) > 3
    assert max(widths) - min(widths) < 1
    # A letter of a drawing is about as high as one of the page, not larger.
    assert max(widths) <= 440
    page.close()


def test_on_paper_it_is_light_and_whole(browser, artefacts, page_file):
    page, _ = visit(browser, page_file, "dark")
    page.emulate_media(media="print")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    page.pdf(path=artefacts / "report.pdf", format="A4", print_background=True)
    assert (artefacts / "report.pdf").stat().st_size > 20_000
    page.close()


def test_on_a_telephone_nothing_is_cut(browser, artefacts, page_file):
    page, _ = visit(browser, page_file, "light")
    page.set_viewport_size({"width": 390, "height": 800})
    page.screenshot(path=artefacts / "report-narrow.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Tables are read without scrolling sideways.
    hidden = page.eval_on_selector_all(
        "table.stack td, table.stack th[scope=row]",
        "all => all.filter(c => c.getBoundingClientRect().right > 390).map(c => c.textContent)",
    )
    assert page.locator("table.stack").count() == 2
    assert hidden == []
    assert page.locator("table.stack td.value").first.bounding_box()["y"] == pytest.approx(
        page.locator("table.stack td.error").first.bounding_box()["y"], abs=3
    )
    # Six samples side by side, and a drawing as wide as the page.
    tops = page.eval_on_selector_all(".wall img", "all => all.map(i => i.getBoundingClientRect().top)")
    assert tops.count(tops[0]) == 6
    assert page.locator(".chart svg").first.bounding_box()["width"] > 340
    page.close()


def test_it_is_small(page_file):
    assert page_file.stat().st_size < 3_000_000
