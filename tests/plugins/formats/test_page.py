"""The page of the examples in a real browser, with a runtime that is a few lines: what it is given, and what is seen."""

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "examples" / "export" / "browser.html"
RUNTIME = """
const metadata = [{ name: "context", shape: ["batch", 10] }, { name: "noise", shape: ["batch", 4] }]
window.ort = { env: { wasm: {} }, Tensor: class { constructor(type, data, dims) { Object.assign(this, { data, dims }) } } }
window.ort.InferenceSession = { create: async (bytes) => ({
  inputMetadata: metadata,
  run: async (inputs) => {
    window.given = Object.fromEntries(Object.entries(inputs).map(([name, { data, dims }]) => [name, [dims, [...data]]]))
    return { examples: { dims: [16, 1, 2, 2], data: Float32Array.from({ length: 64 }, (_, i) => (i >> 2) / 15) } }
  },
}) }
"""


@pytest.mark.slow
@pytest.mark.parametrize("beside", [True, False])
def test_a_page_draws_with_the_runtime_beside_it_or_else_with_that_of_a_cdn(browser, beside):
    page, asked = browser.new_page(), []

    def answer(route):
        asked.append(url := route.request.url)
        if url.endswith("browser.html"):
            route.fulfill(body=PAGE.read_text(encoding="utf-8"), content_type="text/html")
        elif url.endswith("ort.wasm.min.js") and ("cdn" in url) != beside:
            route.fulfill(body=RUNTIME, content_type="text/javascript")
        else:
            route.fulfill(status=404)

    page.route("**/*", answer)
    page.goto("http://localhost/browser.html")
    page.fill("#condition", "7")
    page.set_input_files("#file", {"name": "sample.onnx", "mimeType": "", "buffer": b"file"})
    page.wait_for_function("document.getElementById('said').textContent.startsWith('16 drawn')")
    sizes, values = page.evaluate("given.context")
    assert sizes == [16, 10]
    assert values == [float(i % 10 == 7) for i in range(160)]
    sizes, values = page.evaluate("given.noise")
    assert sizes == [16, 4]
    assert len(set(values)) == 64
    seen = page.evaluate(
        "[...document.getElementById('pictures').getContext('2d').getImageData(0, 0, 16, 4).data]"
    )
    # Eight pictures of 2×2 a row, each of one grey.
    expected = [[17 * (8 * (y // 2) + x // 2)] * 3 + [255] for y in range(4) for x in range(16)]
    assert seen == [value for pixel in expected for value in pixel]
    assert any("cdn" in url for url in asked) != beside
    page.close()
