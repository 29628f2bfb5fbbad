"""The page: whole, escaped, true to the model, whatever the model is made of."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import genmod
from genmod import Batch, DataInfo
from genmod.errors import FileError, UndefinedError, UsageError
from genmod.figures import sample_grid
from genmod.figures.bars import Variables, variables_of
from genmod.figures.curves import Curve
from genmod.figures.latents import latents_figure
from genmod.model.assembly import assemble, blueprint, open_dataset
from genmod.model.build import compose
from genmod.options.schema import Text
from genmod.report import report
from genmod.report.charts import codes_chart, curves_chart, dimensions_chart, groups_chart, table_charts
from genmod.report.commands import build_command, train_command
from genmod.report.galleries import Painter
from genmod.report.images import most_pixels, of_pixels, pixels_of
from genmod.report.model_page import _facts

EVIL = "<script>alert('x')</script>"
SMALL = {"encoder": "mlp", "settings": {"encoder.hidden": [16]}, "latent": 3}
VOID = {"meta", "link", "img", "br", "input", "hr"}
SVG_EMPTY = {"g", "image", "path", "rect", "use"}


class Strict(HTMLParser):
    """Refuses what browsers would have to repair, and what a page that stands alone may not have."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.images, self.scripts = [], set(), [], [], [], 0

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        assert len(attributes) == len(pairs), f"{tag} has an attribute twice"
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attributes["id"]
            self.ids.add(attributes["id"])
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            assert attributes["alt"]
            assert int(attributes["width"]) > 0
            assert int(attributes["height"]) > 0
            assert attributes["src"].startswith("data:image/png;base64,")
            self.images.append(attributes)
        if tag == "svg":
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col", "colgroup")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.scripts += tag == "script"
        self.links += [attributes[name] for name in ("href", "src") if name in attributes and tag != "img"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, pairs):
        assert tag in SVG_EMPTY, tag
        self.handle_starttag(tag, pairs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def checked(page):
    """The page, parsed; every promise about pages in general is checked."""
    assert page.startswith("<!DOCTYPE html>")
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.scripts == 0
    assert parser.headings[0] == 1
    assert parser.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(parser.headings, parser.headings[1:], strict=False))
    assert all(link == "data:," or link[1:] in parser.ids for link in parser.links), parser.links
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert "http" not in re.sub(r'http-equiv|aria-label="[^"]*"', "", page)
    assert len(page.encode()) < 3_000_000
    return parser


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs of the same model with another weight of the KL."""
    place = tmp_path_factory.mktemp("runs")
    for name, beta in (("one", 1.0), ("two", 4.0)):
        model = genmod.build(**{**SMALL, "settings": {**SMALL["settings"], "objective.beta": beta}})
        genmod.train(model, directory=place / name, steps=20, device="cpu", log_every=5)
    return place


@pytest.fixture(scope="module")
def page(trained):
    return report(trained / "one", device="cpu")


def test_commit_of_a_record():
    """Records of earlier versions say whether anything was changed since, too."""
    facts = {"versions": {"torch": "2.6"}, "environment": {"threads": 1}}
    assert _facts({**facts, "git": {"commit": "abc"}}, "cpu")["git"] == "abc"
    assert _facts({**facts, "git": {"commit": "abc", "changed": True}}, "cpu")["git"] == "abc, changed since"


def test_a_page_has_all_its_sections(page, trained):
    parser = checked(page)
    wanted = (
        "numbers curves samples reconstructions worst interpolations traversals latents neighbours model run"
    )
    assert set(wanted.split()) <= parser.ids
    assert "missing" not in re.findall(r'class="([^"]*)"', page)
    assert "genmod build --encoder mlp --latent 3 -s encoder.hidden=16" in page
    assert f"genmod train {trained / 'one'} --steps 20 --device cpu --log-every 5" in page
    assert "not trained" not in page


def test_numbers_are_those_of_evaluate(page, trained):
    model = genmod.load(trained / "one")
    found = genmod.evaluate(model, open_dataset(model.spec), seed=0)
    for row in found.rows:
        places = 1 - math.floor(math.log10(row.standard_error))
        line = page.partition(f'<th scope="row">{row.name}</th>')[2].partition("</tr>")[0]
        cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", line)]
        value, error = f"{row.value:.{places}f}", f"{row.standard_error:.{places}f}"
        assert cells[:4] == [value, f"± {error}", row.unit, "250"]
        assert row.definition in page.replace("&gt;", ">").replace("&lt;", "<")


def test_the_worst_are_those_with_the_largest_distortion(page, trained):
    model = genmod.load(trained / "one")
    errors = genmod.evaluate(model, open_dataset(model.spec), seed=0)["distortion"].examples
    worst = page.partition('id="worst"')[2].partition("<h2")[0]
    shown = re.findall(r"<span>([\d.]+) nats</span><span>test (\d+)</span>", worst)
    assert [int(index) for _, index in shown] == errors.argsort(descending=True)[:10].tolist()
    assert [error for error, _ in shown] == [f"{errors[int(i)]:.1f}" for _, i in shown]


def test_gaps_are_those_of_the_figure_of_the_latents(page, trained):
    model = genmod.load(trained / "one")
    dataset = open_dataset(model.spec)
    drawn = latents_figure(model, dataset.split("test"), reference=dataset.split("train"), panels=["gaps"])
    assert f"<p>{drawn.gap} decode to what is like no example.</p>" in page


def test_drawings_have_no_source_of_formulas(page):
    assert "mathdefault" not in page


def test_what_is_lost_is_shown_by_example_and_by_frequency(page):
    worst = page.partition('id="worst"')[2].partition("<h2")[0]
    assert "From top to bottom: data, observed, reconstruction, difference; below" in worst
    assert re.search(
        r'aria-label="spectra of pictures and of errors: [\d.]+ of the lowest frequencies is lost', worst
    )


def test_the_same_page_again(page, trained):
    again = report(trained / "one", device="cpu")
    without_time = re.compile(r"Made [^<]* UTC")
    assert without_time.sub("", again) == without_time.sub("", page)


def test_what_all_models_have_is_not_left_out(trained, monkeypatch):
    def fail(self):
        raise UndefinedError("nothing to draw")

    monkeypatch.setattr(Painter, "samples", fail)
    with pytest.raises(UndefinedError, match="nothing to draw"):
        report(trained / "one", device="cpu")


def test_processes_share_the_pictures_of_the_same_page(page, trained, by_crew, monkeypatch):
    made = []
    for name in ("samples", "neighbours", "reconstructions", "worst", "codes", "spectra"):
        work = getattr(Painter, name)

        def noted(self, *given, name=name, work=work):
            made.append(name)
            return work(self, *given)

        monkeypatch.setattr(Painter, name, noted)

    def in_process(crew):
        made.clear()
        page = report(trained / "one", device="cpu", processes=crew)
        assert crew.gathers == 2  # numbers, and pictures
        return page, set(made)

    (one, by_one), (two, by_two) = by_crew(2, in_process)
    assert not by_one & by_two
    assert len(by_one | by_two) == 6
    without_time = re.compile(r"Made [^<]* UTC")
    assert {without_time.sub("", each) for each in (one, two)} == {without_time.sub("", page)}


def test_several_begin_with_what_differs(trained):
    places = [trained / "one", trained / "two"]
    text = report(places, device="cpu")
    checked(text)
    settings = text.partition('id="settings"')[2].partition("</table>")[0]
    assert re.findall(r"<code>([^<]*)</code>", settings) == ["objective.beta"]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", settings) == ["1.0", "4.0"]
    assert text.index('id="settings"') < text.index('id="numbers"')
    assert "paired" in text.partition('id="numbers"')[2].partition("<h2")[0]
    for name in ("one", "two"):
        assert text.count(f"{trained / name}</h3>") == 9


def test_texts_of_others_stay_texts(tmp_path):
    """Names of folders, of classes and of files."""
    data = tmp_path / "<b>data.npz"
    x = np.random.default_rng(0).integers(0, 256, (60, 3, 6, 6)).astype(np.uint8)
    np.savez(data, x=x, y=np.array([EVIL, "a&b"] * 30))
    model = genmod.build(**SMALL, decoder="gaussian", data={"name": "npz", "path": str(data)})
    place = tmp_path / "<img src=x onerror=alert(1)>"
    genmod.train(model, directory=place, steps=2, device="cpu")
    text = report(place, device="cpu")
    checked(text)
    assert "class &lt;script&gt;" in text
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("recipe", "more", "says"),
    [
        ("autoencoder", {}, "has no prior"),
        ("cvae", {}, "of every label in turn"),
        pytest.param(
            "categorical-vae",
            {"latent": "2x4", "decoder": "bernoulli"},
            "Codes of 8 numbers",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "vae",
            {"latent": 3, "posterior": "power-spherical", "prior": "uniform-sphere"},
            "not trained",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_any_model_has_a_page(tmp_path, recipe, more, says):
    model = genmod.build(recipe, **{**SMALL, "latent": 2, **more})
    text = report(genmod.save(model, tmp_path / "m"), device="cpu")
    checked(text)
    assert "was not trained" in text
    assert "There are no curves" in text
    assert says in text


def test_tables_with_missing_values(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)).astype(np.float32) * np.array([1, 100, 1, 1, 1], np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    np.savez(tmp_path / "t.npz", x=x)
    data = {"name": "npz", "path": str(tmp_path / "t.npz"), "missing": True}
    model = genmod.build(**SMALL, decoder="gaussian", data=data)
    text = report(genmod.save(model, tmp_path / "m"), device="cpu")
    checked(text)
    assert "in standard deviations" in text
    assert f"-s dataset.path={tmp_path / 't.npz'} -s dataset.missing=true" in text


def test_what_cannot_be_is_told_first(trained, tmp_path):
    with pytest.raises(UsageError, match="no model"):
        report([])
    with pytest.raises(FileError, match="no model directory"):
        report([trained / "one", tmp_path / "nothing"])
    with pytest.raises(UsageError, match="nonesuch"):
        report(trained / "one", ["nonesuch"])


def test_pages_of_mnist_size_are_small():
    """The pictures of twice as many models have a quarter of the pixels, once they would be too many."""
    data = DataInfo((1, 28, 28), levels=256)
    assert most_pixels(data, 250) >= 28
    noise = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8)
    assert len(of_pixels(pixels_of(noise, data, most_pixels(data, 250)), "noise").uri) * 5 < 1_000_000
    photos = DataInfo((3, 64, 64), levels=256)
    noise = torch.randint(0, 256, (50, 3, 64, 64), dtype=torch.uint8)
    shown = of_pixels(pixels_of(noise, photos, most_pixels(photos, 250)), "noise")
    assert 500_000 < len(shown.uri) * 5 < 2_500_000


def test_pixels_are_the_data():
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    data = DataInfo((1, 2, 20), levels=256)
    x = torch.arange(80, dtype=torch.uint8).reshape(2, 1, 2, 20)
    shown = of_pixels(pixels_of(x, data, 100), "two", columns=2)
    image = Image.open(BytesIO(b64decode(shown.uri.partition(",")[2])))
    array = np.array(image.convert("RGBA"))
    assert array[:, :20, 0].tolist() == x[0, 0].tolist()
    assert array[:, 21:, 1].tolist() == x[1, 0].tolist()
    assert array[:, 20, 3].tolist() == [0, 0]
    assert (shown.width, shown.height) == (41 * 3, 2 * 3)
    apart = of_pixels(pixels_of(x, data, 100), "two", ends=True)
    assert apart.width == (41 + 2 * 3) * 3


def texts_of(chart):
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)


def test_a_single_validation_is_seen(tmp_path):
    """A line through one point would be invisible; markers are drawn by use."""
    one = Curve("r", "loss", "validation", (6,), (1.0,), (4.0,))
    assert curves_chart([one], ["r"]).svg.count("<use") > curves_chart(
        [Curve("r", "loss", "train", (6,), (1.0,), (4.0,))], ["r"]
    ).svg.count("<use")


def test_first_steps_do_not_dwarf_the_rest():
    values = (1e6, *(2.0 - i / 100 for i in range(99)))
    drawn = curves_chart([Curve("r", "loss", "train", tuple(range(100)), (0.0,) * 100, values)], ["r"])
    numbers = [float(text) for text in texts_of(drawn) if re.fullmatch(r"[\d.]+", text)]
    assert "1e6" not in texts_of(drawn)
    assert max(n for n in numbers if n not in (20, 40, 60, 80, 100)) <= 3


def test_a_run_has_its_colour_whether_or_not_others_have_curves():
    curve = Curve("b", "loss", "validation", (0, 1), (0.0, 1.0), (1.0, 2.0))
    assert "var(--s1)" in curves_chart([curve], ["a", "b"]).svg
    assert "var(--s2)" in curves_chart([curve], ["a", "c", "b"]).svg


def test_bars_are_sorted_and_counted():
    names = Variables(("z0", "z1", "z2"), (3,), ("3",))
    drawn = dimensions_chart(torch.tensor([0.001, 3.0, 1.0]), "mean KL in nats", names, "m")
    assert [text for text in texts_of(drawn) if text.startswith("z")] == ["z1", "z2", "z0"]
    assert any("2 of 3 above 0.01" in text for text in texts_of(drawn))
    assert (
        'aria-label="mean KL in nats of 3 latent dimensions; the largest: z1 3, z2 1, z0 0.001"' in drawn.svg
    )


def test_dollars_in_names_of_columns_are_drawn_as_they_are():
    names = DataInfo((2,), -math.inf, math.inf, variables=("a$x$", "<b>"))
    x = torch.arange(20.0).reshape(10, 2)
    each, whole = table_charts(x, x, names, "m")
    for chart in (*each, *whole):
        assert "\\$" not in chart.svg
        assert "<b>" not in chart.svg
    assert "a$x$" in each[0].svg


def test_groups_are_named_coloured_and_summed():
    names = variables_of(genmod.build("vdvae-small"))
    assert len(names.names) == sum(names.groups)
    assert names.shapes[0].count("×") == 2
    amounts = torch.zeros(32)
    amounts[[0, 3, 5, 31]] = torch.tensor([1.0, 0.5, 4.0, 2.0])
    names = variables_of(genmod.build("ladder-vae"))
    drawn = dimensions_chart(amounts, "mean KL in nats", names, "m")
    assert "group 1: z4 to z11" in texts_of(drawn)
    assert [text for text in texts_of(drawn) if text.startswith("z")][:4] == ["z5", "z31", "z0", "z3"]
    assert {f"var(--c{i})" for i in range(3)} <= set(re.findall(r"var\(--c\d\)", drawn.svg))
    alone = dimensions_chart(torch.ones(3), "variance", Variables(("a", "b", "c"), (3,), ("3",)), "m")
    assert not any("group" in text for text in texts_of(alone))
    assert "of 3 groups: 1.5, 4, 2" in groups_chart(amounts, "mean KL in nats", names, "m").svg


def test_samples_of_a_conditional_model_have_a_row_for_each_class(tmp_path):
    torch.manual_seed(0)
    model = genmod.build("cvae", **{**SMALL, "latent": 2})
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(3)
    painter = Painter(model.eval(), None, "test", None, seed=0, most=60, alone=True)
    found = painter.samples()
    assert [card.lines for card in found.cards] == [(str(i),) for i in range(10)]
    assert set(model.asked(None, 80)[3::10].argmax(1).tolist()) == {3}
    row = sample_grid(model, 80, seed=0).images[3::10]
    wanted = of_pixels(pixels_of(row, model.data, 60), "").uri
    assert found.cards[3].picture.uri == wanted
    assert found.cards[3].picture.uri != found.cards[4].picture.uri


def test_two_numbers_are_drawn_as_they_are():
    spec = compose("vae", components={"encoder": "mlp", "decoder": "gaussian"}, latent=2)
    model = assemble(spec, DataInfo((1, 2, 2), classes=("a", "<b>$x")))
    latents = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    batch = Batch(torch.zeros(3, 1, 2, 2), labels=torch.tensor([0, 1, 1]))
    drawn = codes_chart(model, model.data, latents, batch, "m")
    group = drawn.svg.partition("PathCollection")[2] or drawn.svg
    marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: var\((--c\d)\)', group)
    places = {(float(x), float(y)): colour for x, y, colour in marks[:3]}
    assert sorted(places.values()) == ["--c0", "--c1", "--c1"]
    (first,) = (place for place, colour in places.items() if colour == "--c0")
    across = next(place for place in places if place != first and place[1] == pytest.approx(first[1]))
    up = next(place for place in places if place != first and place[0] == pytest.approx(first[0]))
    assert first[1] - up[1] == pytest.approx(2 * (across[0] - first[0]), rel=1e-3)
    assert "Codes of 2 numbers of 3 examples, coloured by class." in drawn.note


def test_drawings_are_in_the_colours_of_the_page_and_share_no_ids():
    amounts = torch.tensor([0.5, 0.25])
    names = Variables(("z0", "z1"), (2,), ("2",))
    one, two = (dimensions_chart(amounts, "mean KL in nats", names, key).svg for key in ("a", "b"))
    for svg in (one, two):
        assert not re.findall(r"#[0-9a-f]{6}\b", svg)
        assert "http" not in svg
    assert not set(re.findall(r' id="([^"]*)"', one)) & set(re.findall(r' id="([^"]*)"', two))


@pytest.mark.parametrize(
    ("recipe", "choices"),
    [
        ("vae", {"encoder": "mlp", "settings": {"encoder.hidden": [8, 4], "decoder.binarize": "none"}}),
        ("beta-vae", {"settings": {"objective.beta": "0->4 over 50%"}, "latent": 7}),
        ("cvae", {"encoder": "mlp", "network": "mlp", "settings": {"network.hidden": [5]}}),
        ("categorical-vae", {"latent": "3x4"}),
    ],
)
def test_the_command_builds_the_same_model(recipe, choices):
    """What is said is taken apart again and put together as the command line does."""
    import shlex

    model = genmod.build(recipe, **choices)
    words = shlex.split(build_command(model.spec, model.data, Path("my models/a")))
    assert words[:2] == ["genmod", "build"]
    assert words[-2:] == ["-o", "my models/a"]
    named, settings, more, rest = {}, {}, {}, words[2:-2]
    start = rest.pop(0) if rest and not rest[0].startswith("-") else "vae"
    for flag, value in zip(rest[::2], rest[1::2], strict=True):
        if flag == "-s":
            settings[value.partition("=")[0]] = Text(value.partition("=")[2])
        elif flag in ("--latent", "--condition"):
            more[flag[2:]] = value
        else:
            named["dataset" if flag == "--data" else flag[2:]] = value
    again = blueprint(compose(start, components=named, settings=settings, **more), model.data).spec
    assert again == model.spec
    assert len(words) < 16


def test_the_command_draws_the_same_weights():
    model = genmod.build("vae", encoder="mlp", latent=4, seed=7)
    line = build_command(model.spec, model.data, Path("model"), seed=model.weights_seed)
    assert line == "genmod build --encoder mlp --latent 4 --seed 7"
    assert "--seed" not in build_command(model.spec, model.data, Path("model"), seed=None)


def test_the_command_trains_the_same_way():
    from genmod.training.settings import TrainSettings

    settings = TrainSettings(epochs=3, lr=2e-3, compile=True, augment=("random-crop:28",), optimizer="adamw")
    assert (
        train_command(settings.to_json(), Path("m"))
        == "genmod train m --epochs 3 --lr 0.002 --optimizer adamw --compile --augment random-crop:28"
    )
    assert train_command(TrainSettings().to_json(), Path("model")) == "genmod train"


def test_a_run_that_was_interrupted_says_so(trained, tmp_path):
    import shutil

    place = shutil.copytree(trained / "one", tmp_path / "one")
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**record, "status": "interrupted", "step": 7}))
    assert "“interrupted”, after 7 of 20 steps" in report(place, device="cpu")
